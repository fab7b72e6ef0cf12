// The number of latch and wait_group, which lets everybody go when it becomes 0.
#pragma once
#include "sync/wait_queue.hpp"

namespace weft::detail {

// next(number) gives the number after it, or throws. Waiters queue only while it is not 0.
template <class Next>
void change_counter(wait_room& room, Next&& next) {
  std::uint64_t seen = room.word.load(std::memory_order_relaxed);
  while ((seen & wait_room::locked) == 0) {
    const std::uint64_t after = next(seen >> wait_room::value_shift);
    const std::uint64_t mark = seen & wait_room::waiters;
    if (after == 0 && mark != 0) break;
    // Release: pairs with counter_is_zero(). The steps before it are in its release sequence.
    if (room.word.compare_exchange_weak(seen, (after << wait_room::value_shift) | mark,
                                        std::memory_order_release, std::memory_order_relaxed))
      return;
  }
  release_chain woken;
  wait_guard held(room);
  const std::uint64_t after = next(held.value);
  if (after == 0) held.notify_all(woken);
  held.value = after;
}

inline bool counter_is_zero(const wait_room& room) noexcept {
  // Pairs with change_counter().
  return room.word.load(std::memory_order_acquire) >> wait_room::value_shift == 0;
}

inline void wait_for_zero(wait_room& room, const char* what) {
  if (counter_is_zero(room)) return;
  wait_in(room, what, never, [](wait_guard& held) { return held.value == 0; });
}

}  // namespace weft::detail
