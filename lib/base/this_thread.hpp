// The only door to thread-local state (invariant 4 of docs/architecture.md).
// A fiber may wake on another thread, and both gcc and clang like to reuse the address of a
// thread_local from before the switch. So: one pointer, one out-of-line accessor whose result is
// hidden from the optimiser, and nobody keeps the result across a switch.
#pragma once

namespace weft::detail {

class carrier;

// The carrier (worker) of the calling thread, or null on a plain thread. Never hold it over a park.
carrier* current_carrier() noexcept;
void set_current_carrier(carrier* now) noexcept;

// Pointers of a plain thread's own, given to `drop` when the thread ends, in this order: what comes
// first may still use what comes later. Not for fibers: they have control blocks.
enum class thread_slot_use : unsigned { storage, side, parker };
struct thread_slot {
  void* value = nullptr;
  void (*drop)(void* value) noexcept = nullptr;
};
thread_slot& this_threads_slot(thread_slot_use use) noexcept;

}  // namespace weft::detail
