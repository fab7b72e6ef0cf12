// The number is 0 before, `done` after, and in between the identity of the caller that is at it.
// (1) One that fails sets it to 0 and notifies one waiter. That one is then a caller like any
//     other: it tries before it looks for its own cancellation, so that it cannot leave the rest
//     behind. If another was faster, that one will notify the rest.
#include <weft/once.hpp>

#include <system_error>

#include "sync/identity.hpp"
#include "sync/wait_queue.hpp"

namespace weft::detail {
namespace {
constexpr std::uint64_t done_number = 1;  // no identity is odd
}  // namespace

bool begin_once(once_flag& flag) {
  wait_room& room = flag.room_;
  const std::uint64_t self = caller_identity();
  const auto number = [](std::uint64_t word) { return word >> wait_room::value_shift; };
  short_wait brief;
  for (;;) {
    std::uint64_t seen = room.word.load(std::memory_order_acquire);  // pairs with end_once()
    if (number(seen) == done_number) return false;
    if (number(seen) == self)
      throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                              "weft: call_once() called for a flag by its own initialiser");
    if (number(seen) != 0) {
      wait_in(room, "call_once", never,
              [](wait_guard& held) { return held.value == 0 || held.value == done_number; });
    } else if ((seen & wait_room::locked) != 0) {
      brief.once();
      // Acquire: pairs with end_once() of one that failed.
    } else if (room.word.compare_exchange_weak(seen, seen | (self << wait_room::value_shift),
                                               std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
      return true;
    }
  }
}

void end_once(once_flag& flag, bool done) noexcept {
  release_chain woken;
  wait_guard held(flag.room_);
  held.value = done ? done_number : 0;
  if (done)
    held.notify_all(woken);
  else
    held.notify_one(woken);
}

}  // namespace weft::detail
