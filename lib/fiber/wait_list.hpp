// Waiters in order, on the condition that their owner guards the list with a lock.
//
// (1) A waker claims under the lock and resumes after it: the claimed are parked, so their nodes
//     stay valid until resume().
// (2) A node whose waiter was still arming is not touched after the claim: that waiter goes on at
//     once.
#pragma once
#include "base/intrusive_list.hpp"
#include "fiber/waitable.hpp"

namespace weft::detail {

struct wait_node : list_hook {
  explicit wait_node(waitable& waiter) noexcept : who(&waiter) {}
  waitable* const who;
};

// The claimed, to be resumed once the lock is free.
class wake_batch {
 public:
  wake_batch() = default;
  wake_batch(const wake_batch&) = delete;
  wake_batch& operator=(const wake_batch&) = delete;
  ~wake_batch() {
    while (first_ != nullptr) {
      list_hook* at = first_;
      first_ = at->next;
      resume(*static_cast<wait_node*>(at)->who);
    }
  }

  void add(wait_node& parked) noexcept {
    parked.next = nullptr;
    *end_ = &parked;
    end_ = &parked.next;
  }

 private:
  list_hook* first_ = nullptr;
  list_hook** end_ = &first_;
};

class wait_list {
 public:
  bool empty() const noexcept { return nodes_.empty(); }
  void push(wait_node& node) noexcept { nodes_.push_back(node); }

  // For a waiter that was not notified: leaves the list if it still stands there.
  static void unlink(wait_node& node) noexcept {
    if (node.linked()) intrusive_list<wait_node>::erase(node);
  }

  // Notifies the first that has not been claimed otherwise. Returns whether there was one.
  bool claim_one(wake_batch& batch) noexcept {
    while (wait_node* node = nodes_.pop_front()) {
      const claim got = try_claim(*node->who, wake_reason::notified);
      if (got == claim::must_resume) batch.add(*node);
      if (got != claim::lost) return true;
    }
    return false;
  }

  void claim_all(wake_batch& batch) noexcept {
    while (claim_one(batch)) {
    }
  }

 private:
  intrusive_list<wait_node> nodes_;
};

}  // namespace weft::detail
