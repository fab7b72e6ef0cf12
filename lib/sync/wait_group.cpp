#include <weft/wait_group.hpp>

#include <stdexcept>

#include "sync/counter.hpp"

namespace weft {

void wait_group::add(std::ptrdiff_t n) {
  if (n == 0) return;
  detail::change_counter(room_, [n](std::uint64_t before) {
    // Unsigned on purpose: it wraps where the sum is negative or too large.
    const std::uint64_t after = before + static_cast<std::uint64_t>(n);
    if (after > detail::wait_room::most)
      throw std::logic_error("weft: wait_group: done() or add() below zero");
    return after;
  });
}

void wait_group::wait() { detail::wait_for_zero(room_, "wait_group"); }

}  // namespace weft
