// The number is 1 while the event is set. Waiters queue only while it is 0.
#include <weft/event.hpp>

#include "sync/wait_queue.hpp"

namespace weft {

using detail::wait_room;

namespace {
constexpr std::uint64_t set_bit = std::uint64_t{1} << wait_room::value_shift;
}

void event::set() noexcept {
  std::uint64_t seen = 0;
  // Nobody waits: one step. Release: pairs with is_set().
  if (room_.word.compare_exchange_strong(seen, set_bit, std::memory_order_release,
                                         std::memory_order_relaxed))
    return;
  detail::release_chain woken;
  detail::wait_guard held(room_);
  held.notify_all(woken);
  held.value = 1;
}

void event::reset() noexcept {
  if (!is_set()) return;
  detail::wait_guard held(room_);
  held.value = 0;
}

bool event::is_set() const noexcept {
  return room_.word.load(std::memory_order_acquire) >= set_bit;  // pairs with set()
}

void event::wait() { wait_until_deadline(detail::never); }

bool event::wait_until_deadline(std::int64_t deadline) {
  if (is_set()) return true;
  return detail::wait_in(room_, "event", deadline,
                         [](detail::wait_guard& held) { return held.value == 1; });
}

}  // namespace weft
