// Durations and time points of any clock as the deadlines that the library waits for.
#pragma once

#include <chrono>
#include <cstdint>

#include <weft/detail/config.hpp>
#include <weft/go.hpp>

namespace weft::detail {

inline constexpr std::int64_t no_deadline = INT64_MAX;

// Nanoseconds of the steady clock, so far from now; saturating.
WEFT_API std::int64_t deadline_in(std::int64_t nanoseconds) noexcept;

template <class Rep, class Period>
std::int64_t deadline_in(std::chrono::duration<Rep, Period> limit) noexcept {
  return deadline_in(to_nanoseconds(limit));
}

// Calls attempt(deadline) until it succeeds or the time has come by its own clock, which may be set
// while one waits. Returns whether it succeeded.
template <class Clock, class Duration, class F>
bool attempt_until(std::chrono::time_point<Clock, Duration> when, F&& attempt) {
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    return attempt(to_nanoseconds(when.time_since_epoch()));
  } else {
    using seconds = std::chrono::duration<long double>;
    for (;;) {
      const seconds left = seconds(when.time_since_epoch()) - Clock::now().time_since_epoch();
      if (attempt(deadline_in(left))) return true;
      if (!(left > seconds::zero())) return false;
    }
  }
}

}  // namespace weft::detail
