// The one notion of time inside the library: nanoseconds of the steady clock, saturating.
#pragma once
#include <chrono>
#include <cstdint>
#include <limits>

namespace weft::detail {

using nanos = std::int64_t;
inline constexpr nanos never = std::numeric_limits<nanos>::max();

inline nanos steady_now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// now + delta without overflow: a sleep of duration::max() is a sleep for ever.
inline nanos saturating_add(nanos now, nanos delta) noexcept {
  return delta > 0 && now > never - delta ? never : now + delta;
}

}  // namespace weft::detail
