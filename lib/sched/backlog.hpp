// What no longer fits a worker's deque of fresh fibers, in the batches in which it left it.
// Its worker takes the newest batch, so that what is deepest still runs first and few fibers are
// alive at a time; thieves take the oldest, the largest pieces of work.
// (1) Everything under one lock, which is taken once a batch; `batches_` alone is read without.
// (2) Nothing is lost without memory: batches then run together.
// Rejected: handing the overflow to the injector of all workers. It gives the oldest first, and one
// at each look; a tree of a million fibers then took 289 MiB at its peak instead of 5.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <new>
#include <utility>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"

namespace weft::detail {

template <class T>
class backlog {
 public:
  using batch = intrusive_queue<T>;

  // Owner. Takes what is older than all that its deque still has, and newer than all in here.
  void push(batch&& newest) noexcept {
    if (newest.empty()) return;
    std::lock_guard<spin_lock> hold(lock_);
    try {
      waiting_.push_back(newest);
    } catch (const std::bad_alloc&) {
      unplaced_.append(newest);
    }
    publish();
  }

  // Owner.
  batch take_newest() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    if (waiting_.empty()) return take_unplaced();
    batch out = std::exchange(waiting_.back(), batch());
    waiting_.pop_back();
    publish();
    return out;
  }

  // Any thread.
  batch take_oldest() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    if (waiting_.empty()) return take_unplaced();
    batch out = std::exchange(waiting_.front(), batch());
    waiting_.pop_front();
    publish();
    return out;
  }

  // Any thread: one of the oldest batch.
  T* pop_oldest() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    batch& from = waiting_.empty() ? unplaced_ : waiting_.front();
    T* item = from.pop();
    if (from.empty() && !waiting_.empty()) waiting_.pop_front();
    publish();
    return item;
  }

  bool empty() const noexcept { return batches_.load(std::memory_order_seq_cst) == 0; }

 private:
  batch take_unplaced() noexcept {
    batch out = std::exchange(unplaced_, batch());
    publish();
    return out;
  }

  // Seq_cst: before the look for a sleeper, as in run_queue.hpp.
  void publish() noexcept {
    batches_.store(waiting_.size() + (unplaced_.empty() ? 0 : 1), std::memory_order_seq_cst);
  }

  spin_lock lock_;
  std::deque<batch> waiting_;
  batch unplaced_;
  std::atomic<std::size_t> batches_{0};
};

}  // namespace weft::detail
