// std::condition_variable and std::condition_variable_any for fibers.
//
//   std::unique_lock<weft::mutex> hold(lock);
//   changed.wait(hold, [&] { return !queue.empty(); });
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <weft/detail/deadline.hpp>
#include <weft/detail/wait_room.hpp>
#include <weft/mutex.hpp>

namespace weft {
namespace detail {

// How to give up a lock and to get it back.
struct lock_access {
  void* lock;
  void (*release)(void* lock);
  void (*regain)(void* lock) noexcept;
  bool shielded;  // regain() might deliver cancellation: it is to be kept from that
};

class WEFT_API condition_base {
 public:
  // Lets one waiter go on, or all. Nobody but a waiter uses up a notification: if the first one has
  // timed out or been cancelled, the next one gets it.   Threads: any; the lock need not be held.
  void notify_one() noexcept;
  void notify_all() noexcept;

 protected:
  constexpr condition_base() noexcept = default;
  ~condition_base() {
    if (room_.word.load(std::memory_order_acquire) != 0) await_leavers();
  }

  // Whether it was notified. The lock is held again in any case, and if it throws.
  bool wait_before(const lock_access& lock, std::int64_t deadline);

 private:
  void await_leavers() noexcept;

  wait_room room_;
};

// The waits of both classes; Access::of(lock) says how to reach the lock.
template <class Access>
class condition_waits : public condition_base {
 public:
  condition_waits(const condition_waits&) = delete;
  condition_waits& operator=(const condition_waits&) = delete;

  // A wait gives up the lock, parks until it is notified, and takes the lock again, also if it
  // throws. It never returns without a notification, unless its time is over.
  // Cancellation: throws cancelled, with the lock held again; that step itself is not interrupted.
  // Threads: any, fiber or not.   Throws: std::system_error if the lock is not held.
  template <class Lock>
  void wait(Lock& lock) {
    wait_before(Access::of(lock), no_deadline);
  }
  template <class Lock, class Predicate>
  void wait(Lock& lock, Predicate ready) {
    while (!ready()) wait(lock);
  }

  template <class Lock, class Clock, class Duration>
  std::cv_status wait_until(Lock& lock, std::chrono::time_point<Clock, Duration> when) {
    const bool notified = attempt_until(
        when, [&](std::int64_t deadline) { return wait_before(Access::of(lock), deadline); });
    return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, std::chrono::time_point<Clock, Duration> when, Predicate ready) {
    while (!ready())
      if (wait_until(lock, when) == std::cv_status::timeout) return ready();
    return true;
  }

  template <class Lock, class Rep, class Period>
  std::cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> limit) {
    const bool notified = wait_before(Access::of(lock), deadline_in(limit));
    return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> limit, Predicate ready) {
    const std::int64_t deadline = deadline_in(limit);
    while (!ready())
      if (!wait_before(Access::of(lock), deadline)) return ready();
    return true;
  }

 protected:
  constexpr condition_waits() noexcept = default;
  ~condition_waits() = default;
};

struct mutex_access {
  WEFT_API static lock_access of(std::unique_lock<mutex>& lock);
};

struct any_access {
  template <class Lock>
  static lock_access of(Lock& lock) noexcept {
    return {&lock, [](void* it) { static_cast<Lock*>(it)->unlock(); },
            [](void* it) noexcept { static_cast<Lock*>(it)->lock(); }, true};
  }
};

}  // namespace detail

// With std::unique_lock<weft::mutex>. May be destroyed once all waiters have been notified, also by
// one of them as soon as its wait returns.
class condition_variable : public detail::condition_waits<detail::mutex_access> {
 public:
  constexpr condition_variable() noexcept = default;
};

// The same with anything that has lock() and unlock(): std::unique_lock<std::mutex>,
// std::shared_lock<weft::shared_mutex>, locks of one's own.
class condition_variable_any : public detail::condition_waits<detail::any_access> {
 public:
  constexpr condition_variable_any() noexcept = default;
};

}  // namespace weft
