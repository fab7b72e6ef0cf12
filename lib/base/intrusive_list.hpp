// Doubly linked and singly linked lists of objects that carry their own links.
// No list owns its elements and none is synchronised: its user says which lock guards it.
#pragma once
#include <cstddef>
#include <utility>

namespace weft::detail {

struct list_hook {
  list_hook* prev = nullptr;
  list_hook* next = nullptr;
  bool linked() const noexcept { return next != nullptr; }
};

// A circle through a sentinel, so that an element can unlink itself without knowing its list.
// T derives from list_hook, or from Hook when it stands in several lists at once.
template <class T, class Hook = list_hook>
class intrusive_list {
 public:
  intrusive_list() noexcept { head_.prev = head_.next = &head_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;

  bool empty() const noexcept { return head_.next == &head_; }

  void push_back(T& item) noexcept {
    Hook& hook = item;
    hook.prev = head_.prev;
    hook.next = &head_;
    hook.prev->next = &hook;
    head_.prev = &hook;
  }

  void push_front(T& item) noexcept {
    Hook& hook = item;
    hook.prev = &head_;
    hook.next = head_.next;
    hook.next->prev = &hook;
    head_.next = &hook;
  }

  T* front() noexcept { return empty() ? nullptr : to_item(head_.next); }

  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T* item = to_item(head_.next);
    erase(*item);
    return item;
  }

  static void erase(T& item) noexcept {
    Hook& hook = item;
    // The analyzer does not see that a linked hook has both neighbours.
    hook.prev->next = hook.next;  // NOLINT(clang-analyzer-core.NullDereference)
    hook.next->prev = hook.prev;  // NOLINT(clang-analyzer-core.NullDereference)
    hook.prev = hook.next = nullptr;
  }

  template <class F>
  void for_each(F&& visit) {
    for (list_hook* at = head_.next; at != &head_;) {
      list_hook* after = at->next;
      visit(*to_item(at));
      at = after;
    }
  }

 private:
  static T* to_item(list_hook* hook) noexcept { return static_cast<T*>(static_cast<Hook*>(hook)); }

  list_hook head_;
};

// First in, first out, through T::next; whole batches are appended in constant time.
template <class T>
class intrusive_queue {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push(T* item) noexcept {
    item->next = nullptr;
    if (last_ != nullptr)
      last_->next = item;
    else
      first_ = item;
    last_ = item;
    ++size_;
  }

  T* pop() noexcept {
    T* item = first_;
    if (item == nullptr) return nullptr;
    first_ = item->next;
    if (first_ == nullptr) last_ = nullptr;
    item->next = nullptr;
    --size_;
    return item;
  }

  // Takes all of the other's items.
  void append(intrusive_queue& other) noexcept {
    if (other.empty()) return;
    if (last_ != nullptr)
      last_->next = other.first_;
    else
      first_ = other.first_;
    last_ = other.last_;
    size_ += other.size_;
    other = intrusive_queue();
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weft::detail
