// An I/O call that need not park gives way after a while, so that a run of them starves neither the
// other fibers nor the loop (invariant 7 of docs/architecture.md).
// Called by every operation of this layer, on the fiber that makes it.
//
// (1) The account is the fiber's own, so no lock and no thread-local state is needed.
// (2) An operation gives way before it touches anything. So cancellation may be delivered there and
//     no byte that was moved is lost by it.
#pragma once
#include <cstddef>

#include "fiber/park.hpp"
#include "sched/worker.hpp"

namespace weft::detail {

// An operation costs one, and one more for each 16 KiB it copies, which take about as long as a
// system call: 64 of them are 50 to 150 us.
inline constexpr unsigned io_budget = 64;
inline constexpr std::size_t io_bytes_per_cost = 16 * 1024;

inline void spend_io(control& self, std::size_t bytes) noexcept {
  self.io_spent += 1 + static_cast<unsigned>(bytes / io_bytes_per_cost);
}

// Lets others run if the budget is used up.
inline void give_way(control& self) noexcept {
  if (self.io_spent < io_budget) return;
  self.io_spent = 0;
  static_cast<worker*>(current_carrier())->yield();
}

// What every operation begins with.
// Throws: std::logic_error outside a fiber; cancelled.
inline control& begin_io(const char* operation) {
  control& self = require_fiber(operation);
  give_way(self);
  deliver_cancellation(self);
  return self;
}

}  // namespace weft::detail
