// Objects that one call uses at a time, and that may be closed under it.
// Calls enter and leave on fibers; close() comes from any thread.
//
// (1) Whoever comes last, close() or the call, lets go of what is held: so no call loses a
//     descriptor on its way, and none is left.
#pragma once
#include <atomic>
#include <cerrno>

namespace weft::detail {

class sole_use {
 public:
  // All three pair with each other: what one call did is seen by the next, and by who lets go.
  // 0, -EBADF once it is closed, or -EBUSY.
  int enter() noexcept {
    unsigned seen = 0;
    if (word_.compare_exchange_strong(seen, busy_, std::memory_order_acquire)) return 0;
    return (seen & closed_) != 0 ? -EBADF : -EBUSY;
  }
  // Each returns whether the caller is to let go of what is held.
  bool leave() noexcept {
    return (word_.fetch_sub(busy_, std::memory_order_acq_rel) & closed_) != 0;
  }
  bool close() noexcept { return word_.fetch_or(closed_, std::memory_order_acq_rel) == 0; }

 private:
  static constexpr unsigned busy_ = 1, closed_ = 2;
  std::atomic<unsigned> word_{0};
};

}  // namespace weft::detail
