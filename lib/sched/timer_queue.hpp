// The timers of one worker: a 4-ary heap under a small lock, earliest first.
// Its own worker arms; any thread disarms; its worker, or the monitor when that worker is stuck,
// lets it expire.
//
// (1) A waiter is claimed under the lock, so that disarm(), which takes it too, is a barrier: after
//     it no claim of this timer can hit a later wait (waitable.hpp (4)).
// (2) A scope is cancelled outside the lock, since that may take long; its timer is `firing`
//     meanwhile and disarm() waits for the end.
// (3) Never early: an entry expires when its deadline is at or before the clock that was read.
// Rejected so far: a timer wheel (cheaper to disarm, but rounds deadlines), one uv_timer a sleep
// (milliseconds, and only its loop's thread may stop it).
#pragma once
#include <atomic>
#include <vector>

#include "base/spin_lock.hpp"
#include "fiber/timer.hpp"

namespace weft::detail {

class timer_queue {
 public:
  timer_queue() { heap_.reserve(64); }  // the first ones cannot fail

  void add(timer& entry);
  void disarm(timer& entry) noexcept;

  // Fires what is due; returns how many. Resumes fibers, so never call it under a lock.
  std::size_t expire(nanos now) noexcept;

  nanos earliest() const noexcept { return earliest_.load(std::memory_order_acquire); }
  std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  struct entry {
    nanos deadline;
    timer* what;
  };

  void place(std::size_t at, entry item) noexcept;
  void sift_up(std::size_t at, entry item) noexcept;
  void sift_down(std::size_t at, entry item) noexcept;
  void take_out(std::size_t at) noexcept;
  void publish() noexcept;

  spin_lock lock_;
  std::vector<entry> heap_;
  std::atomic<nanos> earliest_{never};  // written under lock_, read by the sleeping protocol
  std::atomic<std::size_t> count_{0};
};

}  // namespace weft::detail
