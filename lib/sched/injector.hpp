// The queue all workers share: what plain threads submit and what overflows from full queues.
// First in first out; workers take batches, so its lock is rare.
//
// (1) It holds pointers in chunks and never looks at what they point to: a flood of fibers waits
//     here, cold, and walking it by links would miss the cache once for each.
// (2) Where there is no memory for another chunk the items are linked after all, behind the chunks.
#pragma once
#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <utility>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"

namespace weft::detail {

// Some pointers on their way from one queue to another, oldest first.
template <class T>
class batch {
 public:
  static constexpr std::size_t room = 128;

  bool empty() const noexcept { return first_ == end_; }
  bool full() const noexcept { return end_ == room; }
  std::size_t size() const noexcept { return end_ - first_; }
  void push(T* item) noexcept { items_[end_++] = item; }
  T* pop() noexcept { return empty() ? nullptr : items_[first_++]; }
  T* operator[](std::size_t at) const noexcept { return items_[first_ + at]; }

 private:
  std::size_t first_ = 0;
  std::size_t end_ = 0;
  T* items_[room];  // not set before it is needed
};

template <class T>
class injector {
 public:
  injector() = default;
  injector(const injector&) = delete;
  injector& operator=(const injector&) = delete;
  ~injector() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
    delete spare_;
  }

  void push(T* item) noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    add(item);
    publish();
  }

  void push(batch<T> items) noexcept {
    if (items.empty()) return;
    std::lock_guard<spin_lock> hold(lock_);
    while (T* item = items.pop()) add(item);
    publish();
  }

  // Up to `most`, and no more than fit a batch.
  batch<T> take(std::size_t most) noexcept {
    batch<T> out;
    if (size() == 0) return out;
    std::lock_guard<spin_lock> hold(lock_);
    while (out.size() < most && !out.full()) {
      T* item = remove();
      if (item == nullptr) break;
      out.push(item);
    }
    publish();
    return out;
  }

  std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

 private:
  struct chunk {
    static constexpr std::size_t room = 510;

    chunk* next = nullptr;
    std::array<T*, room> items;
  };

  void publish() noexcept {  // before the look for a sleeper
    size_.store(in_chunks_ + linked_.size(), std::memory_order_seq_cst);
  }

  void add(T* item) noexcept {
    if (!linked_.empty() || !make_room()) {
      linked_.push(item);
      return;
    }
    last_->items[to_++] = item;
    ++in_chunks_;
  }

  bool make_room() noexcept {
    if (last_ != nullptr && to_ < chunk::room) return true;
    chunk* more = spare_ != nullptr ? std::exchange(spare_, nullptr) : new (std::nothrow) chunk;
    if (more == nullptr) return false;
    more->next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = more;
    last_ = more;
    to_ = 0;
    return true;
  }

  T* remove() noexcept {
    if (in_chunks_ == 0) return linked_.pop();
    T* item = first_->items[from_++];
    --in_chunks_;
    if (from_ == chunk::room || in_chunks_ == 0) {
      chunk* done = std::exchange(first_, first_->next);
      if (first_ == nullptr) last_ = nullptr;
      from_ = 0;
      delete std::exchange(spare_, done);
    }
    return item;
  }

  spin_lock lock_;
  chunk* first_ = nullptr;
  chunk* last_ = nullptr;
  chunk* spare_ = nullptr;
  std::size_t from_ = 0;  // of the first chunk
  std::size_t to_ = 0;    // of the last one
  std::size_t in_chunks_ = 0;
  intrusive_queue<T> linked_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace weft::detail
