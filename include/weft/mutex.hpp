// std::mutex and its relatives for fibers: who waits parks, and the thread goes on with others.
//
//   weft::mutex lock;
//   std::lock_guard<weft::mutex> hold(lock);
//
// They work with std::lock_guard, std::unique_lock, std::scoped_lock and std::lock, also together
// with those of std. A fiber may park while it holds one, and go on on another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <weft/detail/deadline.hpp>

namespace weft {

// Usable from fibers of any runtime and from plain threads at once. Small, and may be a constant
// initialised global. Who comes may overtake those who wait, but nobody is overtaken for ever.
//
// Unlocking makes what was written before visible to the next owner, who may destroy the mutex at
// once, even while the call of unlock() that let it in has not returned.
//
// Destroying a locked mutex ends the program with a message.
class WEFT_API mutex {
 public:
  constexpr mutex() noexcept = default;
  ~mutex() {
    if (word_.load(std::memory_order_relaxed) != 0) destroyed_in_use();
  }
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  // Parks: while somebody else has it.   Cancellation: is not delivered, as users of std expect.
  // Throws: std::system_error (resource_deadlock_would_occur) if the caller has it already.
  void lock();

  // Takes it if it is free; never parks.
  bool try_lock() noexcept;

  // Takes it if it becomes free in this time. Returns whether it did; otherwise as lock().
  template <class Rep, class Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> limit) {
    return try_lock() || lock_before(detail::deadline_in(limit));
  }
  template <class Clock, class Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> when) {
    return detail::attempt_until(when,
                                 [this](std::int64_t deadline) { return lock_before(deadline); });
  }

  // Throws: std::system_error (operation_not_permitted) if the caller does not have it. From the
  // destructor of a lock_guard that ends the program.
  void unlock();

 private:
  friend class recursive_mutex;
  struct access;

  bool lock_before(std::int64_t deadline);
  bool lock_slowly(std::uintptr_t self, std::int64_t deadline);
  void unlock_slowly(std::uintptr_t self);
  bool owned_by_caller() const noexcept;
  [[noreturn]] void destroyed_in_use() noexcept;

  // See lib/sync/mutex_word.hpp.
  std::atomic<std::uintptr_t> word_{0};
  std::uintptr_t heir_ = 0;
  std::uint32_t passes_ = 0;
  bool list_made_ = false;
  alignas(void*) unsigned char list_[2 * sizeof(void*)] = {};
};

using timed_mutex = mutex;

// The same, which its owner may lock again; it is free after as many unlocks.
class WEFT_API recursive_mutex {
 public:
  constexpr recursive_mutex() noexcept = default;

  void lock();
  bool try_lock() noexcept;
  template <class Rep, class Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> limit) {
    return try_lock() || lock_before(detail::deadline_in(limit));
  }
  template <class Clock, class Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> when) {
    return detail::attempt_until(when,
                                 [this](std::int64_t deadline) { return lock_before(deadline); });
  }
  void unlock();

 private:
  bool lock_before(std::int64_t deadline);

  mutex mutex_;
  std::size_t again_ = 0;  // how often its owner has locked it beyond the first time
};

using recursive_timed_mutex = recursive_mutex;

}  // namespace weft
