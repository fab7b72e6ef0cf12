// Waiters of the classes in lib/sync: a number with a queue, both behind one word.
// Any thread, fiber or not.
//
// (1) The word is the lock of the queue, the mark that somebody waits, and the number (wait_room).
//     A change of the number becomes visible by one store or compare-exchange, and if it was made
//     with the lock held, by the one that frees the lock. That is the last access to the object.
//     So who sees the number that he waited for may destroy the object, whether he parked or not.
// (2) A waiter leaves the queue by the hand that ends its wait: the notifier takes off whom it
//     claims, one that timed out or was cancelled takes off itself.
// (3) Who was notified does not touch the object again. It goes on when its node is `released`,
//     which is after the notifier has freed the lock, and is the notifier's last access to the
//     node. Without that a waiter that was claimed before it had left its stack would go on at
//     once, and destroy what the notifier has yet to unlock.
// (4) The list is made in place by whoever finds it empty. So a wait_room is born constant.
#pragma once
#include <new>
#include <weft/detail/wait_room.hpp>

#include "base/intrusive_list.hpp"
#include "base/short_wait.hpp"
#include "fiber/park.hpp"

namespace weft::detail {

struct sync_node : list_hook {
  explicit sync_node(waitable* waiter) noexcept : who(waiter) {}

  // After a wait that was notified.
  void await_release() noexcept {
    // Pairs with release_chain.
    for (short_wait wait; !released.load(std::memory_order_acquire);) wait.once();
  }

  std::atomic<waitable*> who;
  std::atomic<bool> released{false};
  bool parked = false;       // of a notified one: it is to be resumed
  bool shared = false;       // waits for a shared lock
  unsigned in_vain = 0;      // wake-ups that found the lock taken
  std::uintptr_t owner = 0;  // who will own the lock
};

using sync_list = intrusive_list<sync_node>;

// The notified, let go when the lock has been freed: declare it before the lock.
class release_chain {
 public:
  release_chain() = default;
  release_chain(const release_chain&) = delete;
  release_chain& operator=(const release_chain&) = delete;
  ~release_chain() {
    while (sync_node* node = first_) {
      first_ = static_cast<sync_node*>(node->next);
      waitable* to_resume = node->parked ? node->who.load(std::memory_order_relaxed) : nullptr;
      node->released.store(true, std::memory_order_release);  // pairs with await_release()
      if (to_resume != nullptr) resume(*to_resume);
    }
  }

  // In order; but those that did not park come first, since they spin.
  void add(sync_node& node, bool parked) noexcept {
    node.parked = parked;
    if (!parked || first_ == nullptr) {
      node.next = first_;
      if (first_ == nullptr) last_ = &node;
      first_ = &node;
    } else {
      node.next = nullptr;
      last_->next = &node;
      last_ = &node;
    }
  }

  bool empty() const noexcept { return first_ == nullptr; }

 private:
  sync_node* first_ = nullptr;
  sync_node* last_ = nullptr;
};

// Claims a waiter that was taken off its list; false if its wait has ended otherwise.
inline bool notify(sync_node& node, release_chain& chain) noexcept {
  const claim got = try_claim(*node.who.load(std::memory_order_relaxed), wake_reason::notified);
  if (got == claim::lost) return false;
  chain.add(node, got == claim::must_resume);
  return true;
}

// Holds the lock of a wait_room, and publishes the number as it frees it.
class wait_guard {
 public:
  explicit wait_guard(wait_room& room) noexcept : room_(room) {
    std::uint64_t seen = 0;
    for (short_wait wait;; wait.once()) {
      // Pairs with the destructor.
      seen = room.word.fetch_or(wait_room::locked, std::memory_order_acquire);
      if ((seen & wait_room::locked) == 0) break;
    }
    if ((seen & wait_room::waiters) == 0) ::new (static_cast<void*>(room.queue)) sync_list;
    value = seen >> wait_room::value_shift;
  }
  wait_guard(const wait_guard&) = delete;
  wait_guard& operator=(const wait_guard&) = delete;
  ~wait_guard() {
    const std::uint64_t mark = waiting().empty() ? 0 : wait_room::waiters;
    // Pairs with the constructor, and with who looks at the number without the lock. See (1).
    room_.word.store((value << wait_room::value_shift) | mark, std::memory_order_release);
  }

  sync_list& waiting() noexcept { return *std::launder(reinterpret_cast<sync_list*>(room_.queue)); }

  // Notifies the first whose wait has not ended otherwise. Returns whether there was one.
  bool notify_one(release_chain& chain) noexcept {
    while (sync_node* node = waiting().pop_front())
      if (notify(*node, chain)) return true;
    return false;
  }

  void notify_all(release_chain& chain) noexcept {
    while (notify_one(chain)) {
    }
  }

  std::uint64_t value;

 private:
  static_assert(sizeof(sync_list) <= sizeof(wait_room::queue));

  wait_room& room_;
};

inline void leave_queue(wait_room& room, sync_node& node) noexcept {
  wait_guard held(room);
  if (node.linked()) sync_list::erase(node);
}

// Parks until notified. `ready` gets the guard; what it says or does is in one step with joining
// the queue. Returns false once the deadline has passed.
template <class Ready>
bool wait_in(wait_room& room, const char* what, nanos deadline, Ready&& ready) {
  const bool over = has_passed(deadline);
  parking wait(what);
  sync_node node(&wait.self());
  {
    wait_guard held(room);
    const bool now = ready(held);
    if (now || over) {
      wait.abandon();
      return now;
    }
    held.waiting().push_back(node);
  }
  const wake_reason why = wait.park_until(deadline);
  if (why == wake_reason::notified) {
    node.await_release();
    return true;
  }
  leave_queue(room, node);
  if (why == wake_reason::cancelled) throw_cancelled();
  return false;
}

}  // namespace weft::detail
