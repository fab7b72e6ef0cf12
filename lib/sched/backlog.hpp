// What no longer fits a worker's deque of fresh fibers, in the batches in which it left it.
// Its worker takes the newest batch, so that what is deepest still runs first and few fibers are
// alive at a time; thieves take the oldest, the largest pieces of work.
// (1) Everything under one lock, which is taken once a batch; `size_` alone is read without.
// (2) Nothing is lost without memory: the fibers are linked then, and come last.
// Rejected: handing the overflow to the injector of all workers. It gives the oldest first, and one
// at each look; a tree of a million fibers then took 289 MiB at its peak instead of 5.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <new>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "sched/injector.hpp"

namespace weft::detail {

template <class T>
class backlog {
 public:
  // Owner. Takes what is older than all that its deque still has, and newer than all in here.
  void push(batch<T> newest) noexcept {
    if (newest.empty()) return;
    const std::size_t more = newest.size();
    std::lock_guard<spin_lock> hold(lock_);
    try {
      waiting_.push_back(newest);
    } catch (const std::bad_alloc&) {
      while (T* item = newest.pop()) unplaced_.push(item);
    }
    publish(count() + more);
  }

  // Owner.
  batch<T> take_newest() noexcept { return take(end::newest); }

  // Any thread.
  batch<T> take_oldest() noexcept { return take(end::oldest); }

  // Any thread: one of the oldest batch.
  T* pop_oldest() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    T* item = nullptr;
    if (waiting_.empty()) {
      item = unplaced_.pop();
    } else {
      item = waiting_.front().pop();
      if (waiting_.front().empty()) waiting_.pop_front();
    }
    if (item != nullptr) publish(count() - 1);
    return item;
  }

  std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }
  bool empty() const noexcept { return size() == 0; }

 private:
  enum class end { newest, oldest };

  batch<T> take(end from) noexcept {
    batch<T> out;
    std::lock_guard<spin_lock> hold(lock_);
    if (waiting_.empty()) {
      while (!unplaced_.empty() && !out.full()) out.push(unplaced_.pop());
    } else if (from == end::newest) {
      out = waiting_.back();
      waiting_.pop_back();
    } else {
      out = waiting_.front();
      waiting_.pop_front();
    }
    publish(count() - out.size());
    return out;
  }

  // With the lock held.
  std::size_t count() const noexcept { return size_.load(std::memory_order_relaxed); }

  // Seq_cst: before the look for a sleeper, as in run_queue.hpp.
  void publish(std::size_t now) noexcept { size_.store(now, std::memory_order_seq_cst); }

  spin_lock lock_;
  std::deque<batch<T>> waiting_;
  intrusive_queue<T> unplaced_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace weft::detail
