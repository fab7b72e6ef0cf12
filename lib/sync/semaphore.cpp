// The number is that of free permits. Somebody waits only while it is 0: a permit that is given
// back goes straight to the first waiter, so that nobody can overtake.
#include <weft/semaphore.hpp>

#include <stdexcept>

#include "sync/wait_queue.hpp"

namespace weft::detail {

namespace {
constexpr std::uint64_t one = std::uint64_t{1} << wait_room::value_shift;

bool take(wait_guard& held) noexcept {
  if (held.value == 0) return false;
  --held.value;
  return true;
}

std::uint64_t sum(std::uint64_t free, std::ptrdiff_t n, std::ptrdiff_t most) {
  if (n < 0 || static_cast<std::uint64_t>(n) > static_cast<std::uint64_t>(most) - free)
    throw std::logic_error("weft: a semaphore was released beyond its max(), or by less than 0");
  return free + static_cast<std::uint64_t>(n);
}
}  // namespace

bool semaphore_base::try_acquire() noexcept {
  std::uint64_t seen = room_.word.load(std::memory_order_relaxed);
  for (short_wait wait;;) {
    if (seen < one) return false;
    if ((seen & wait_room::locked) != 0) {
      wait.once();
      seen = room_.word.load(std::memory_order_relaxed);
      // Acquire: pairs with give().
    } else if (room_.word.compare_exchange_weak(seen, seen - one, std::memory_order_acquire,
                                                std::memory_order_relaxed)) {
      return true;
    }
  }
}

void semaphore_base::acquire() {
  if (!try_acquire()) wait_in(room_, "semaphore", never, take);
}

bool semaphore_base::acquire_before(std::int64_t deadline) {
  return try_acquire() || wait_in(room_, "semaphore", deadline, take);
}

void semaphore_base::give(std::ptrdiff_t n, std::ptrdiff_t most) {
  std::uint64_t seen = room_.word.load(std::memory_order_relaxed);
  while ((seen & (wait_room::locked | wait_room::waiters)) == 0) {
    const std::uint64_t after = sum(seen >> wait_room::value_shift, n, most);
    // Release: pairs with try_acquire().
    if (room_.word.compare_exchange_weak(seen, after << wait_room::value_shift,
                                         std::memory_order_release, std::memory_order_relaxed))
      return;
  }
  release_chain woken;
  wait_guard held(room_);
  sum(held.value, n, most);
  while (n > 0 && held.notify_one(woken)) --n;
  held.value += static_cast<std::uint64_t>(n);
}

}  // namespace weft::detail
