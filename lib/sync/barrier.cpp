// A phase ends when left_ is 0 and the completion function has run; nobody can arrive in between.
// Waiters look at the number of the phase alone.
#include <weft/barrier.hpp>

#include <stdexcept>

#include "fiber/shield.hpp"
#include "sync/wait_queue.hpp"

namespace weft::detail {
namespace {
// The number has two bits less than the phase a token holds, and may wrap.
constexpr std::uint64_t phase_mask = UINT64_MAX >> wait_room::value_shift;
}  // namespace

bool barrier_base::arrive(std::ptrdiff_t n, std::ptrdiff_t dropped, std::uint64_t& phase) {
  wait_guard held(room_);
  if (n <= 0 || n > left_)
    throw std::logic_error("weft: a barrier counts between 1 and as many arrivals as are missing");
  phase = held.value;
  expected_ -= dropped;
  left_ -= n;
  return left_ == 0;
}

void barrier_base::complete(void (*completion)(void* it) noexcept, void* it) noexcept {
  {
    // It is noexcept, but may park.
    const fiber_shield quiet(current_fiber());
    completion(it);
  }
  release_chain woken;
  wait_guard held(room_);
  left_ = expected_;
  held.value = (held.value + 1) & phase_mask;
  held.notify_all(woken);
}

void barrier_base::wait(std::uint64_t phase) {
  // Pairs with the end of complete().
  if (room_.word.load(std::memory_order_acquire) >> wait_room::value_shift != phase) return;
  wait_in(room_, "barrier", never, [phase](wait_guard& held) { return held.value != phase; });
}

}  // namespace weft::detail
