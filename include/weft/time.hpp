// Sleeping: parks the fiber, and the thread goes on with others.
#pragma once

#include <chrono>
#include <cstdint>

#include <weft/detail/config.hpp>
#include <weft/go.hpp>

namespace weft {
namespace detail {
WEFT_API void sleep_for_nanoseconds(std::int64_t duration);
WEFT_API void sleep_until_nanoseconds(std::int64_t steady_time);
}  // namespace detail

// Parks for at least this long, never less; zero or negative yields. Any duration is fine:
// what exceeds 292 years is for ever.
// Cancellation: throws cancelled.   Throws: std::logic_error outside a fiber.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> duration) {
  detail::sleep_for_nanoseconds(detail::to_nanoseconds(duration));
}

// Parks until the steady clock has reached this time; a time in the past yields.
inline void sleep_until(std::chrono::steady_clock::time_point when) {
  detail::sleep_until_nanoseconds(detail::to_nanoseconds(when.time_since_epoch()));
}

// Ticks at a fixed period from its creation on, without drift: tick n is due at start + n * period.
//
//   weft::ticker every(100ms);
//   for (;;) { every.next(); sample(); }
class WEFT_API ticker {
 public:
  // Throws: std::invalid_argument unless the period is positive; std::logic_error outside a fiber.
  template <class Rep, class Period>
  explicit ticker(std::chrono::duration<Rep, Period> period)
      : ticker(detail::to_nanoseconds(period), 0) {}

  // Parks until the next tick. A caller that comes late gets at once the tick that is due, and the
  // ones missed before it are skipped.   Cancellation: throws cancelled.
  // Returns how many ticks have been skipped by this call.
  std::uint64_t next();

 private:
  ticker(std::int64_t period, int);

  std::int64_t period_;
  std::int64_t due_;
};

}  // namespace weft
