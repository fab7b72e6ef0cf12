#include <weft/latch.hpp>

#include <stdexcept>

#include "sync/counter.hpp"

namespace weft {

void latch::count_down(std::ptrdiff_t n) {
  if (n == 0) return;
  detail::change_counter(room_, [n](std::uint64_t left) {
    if (n < 0 || static_cast<std::uint64_t>(n) > left)
      throw std::logic_error("weft: a latch was counted down by more than is left, or less than 0");
    return left - static_cast<std::uint64_t>(n);
  });
}

bool latch::try_wait() const noexcept { return detail::counter_is_zero(room_); }

void latch::wait() const { detail::wait_for_zero(room_, "latch"); }

void latch::arrive_and_wait(std::ptrdiff_t n) {
  count_down(n);
  wait();
}

}  // namespace weft
