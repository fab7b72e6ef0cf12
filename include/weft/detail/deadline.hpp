// Durations and time points of any clock as the deadlines that the library waits for.
#pragma once

#include <chrono>
#include <cstdint>
#include <type_traits>

#include <weft/detail/config.hpp>

namespace weft::detail {

// Any duration as nanoseconds, clamped instead of overflowing; NaN counts as zero.
template <class Rep, class Period>
constexpr std::int64_t to_nanoseconds(std::chrono::duration<Rep, Period> d) noexcept {
  using wide = std::chrono::duration<long double, std::nano>;
  const long double count = std::chrono::duration_cast<wide>(d).count();
  if (!(count > -9.2e18L)) return count < 0 ? INT64_MIN : 0;
  if (count > 9.2e18L) return INT64_MAX;
  // A period that is no whole number of nanoseconds would overflow on its way.
  if constexpr (std::is_floating_point_v<Rep> || std::ratio_divide<Period, std::nano>::den != 1)
    return static_cast<std::int64_t>(count);
  else
    return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
}

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
