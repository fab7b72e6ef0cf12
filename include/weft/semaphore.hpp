// std::counting_semaphore and std::binary_semaphore for fibers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include <weft/detail/deadline.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {
namespace detail {

// What does not depend on the most permits.
class WEFT_API semaphore_base {
 public:
  // Takes a permit. Waiters get theirs in order, and before those who come later.
  // Parks: while there is none.   Cancellation: throws cancelled, unless there is one; no permit
  // is lost.
  void acquire();

  // Takes a permit if there is one; never parks.
  bool try_acquire() noexcept;

  // Takes a permit if there is one in this time. Returns whether it did.
  template <class Rep, class Period>
  bool try_acquire_for(std::chrono::duration<Rep, Period> limit) {
    return try_acquire() || acquire_before(deadline_in(limit));
  }
  template <class Clock, class Duration>
  bool try_acquire_until(std::chrono::time_point<Clock, Duration> when) {
    return attempt_until(when, [this](std::int64_t deadline) { return acquire_before(deadline); });
  }

 protected:
  constexpr semaphore_base(std::ptrdiff_t desired, std::ptrdiff_t most)
      : room_(checked_count(desired, most)) {}

  void give(std::ptrdiff_t n, std::ptrdiff_t most);

 private:
  bool acquire_before(std::int64_t deadline);

  wait_room room_;
};

}  // namespace detail

// Everything is usable from any fiber or thread. Who has acquired a permit may destroy the
// semaphore, if nobody else uses it.
template <std::ptrdiff_t LeastMaxValue = static_cast<std::ptrdiff_t>(detail::wait_room::most)>
class counting_semaphore : public detail::semaphore_base {
  static_assert(LeastMaxValue >= 0);

 public:
  // Throws: std::logic_error if desired is negative or more than max().
  constexpr explicit counting_semaphore(std::ptrdiff_t desired) : semaphore_base(desired, max()) {}

  static constexpr std::ptrdiff_t max() noexcept {
    return std::min(LeastMaxValue, static_cast<std::ptrdiff_t>(detail::wait_room::most));
  }

  // Gives n permits back, or new ones: to waiters first.
  // Throws: std::logic_error if n is negative or there would be more than max().
  void release(std::ptrdiff_t n = 1) { give(n, max()); }
};

using binary_semaphore = counting_semaphore<1>;

}  // namespace weft
