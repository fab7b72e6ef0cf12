// std::latch for fibers: counts down once, and lets everybody go at zero.
#pragma once

#include <cstddef>

#include <weft/detail/config.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {

// Everything is usable from any fiber or thread. A waiter may destroy the latch as soon as its wait
// returns.
class WEFT_API latch {
 public:
  // Throws: std::logic_error if expected is negative or more than max().
  constexpr explicit latch(std::ptrdiff_t expected)
      : room_(detail::checked_count(expected, max())) {}

  static constexpr std::ptrdiff_t max() noexcept {
    return static_cast<std::ptrdiff_t>(detail::wait_room::most);
  }

  // Throws: std::logic_error if n is negative or more than is left.
  void count_down(std::ptrdiff_t n = 1);

  // Whether the count is zero.
  bool try_wait() const noexcept;

  // Waits until the count is zero.
  // Parks: until then.   Cancellation: throws cancelled, unless it is zero.
  void wait() const;

  // Both. Who is cancelled in the wait has been counted.
  void arrive_and_wait(std::ptrdiff_t n = 1);

 private:
  mutable detail::wait_room room_;
};

}  // namespace weft
