// The only door to thread-local state (invariant 4 of docs/architecture.md).
// A fiber may wake on another thread, and both gcc and clang like to reuse the address of a
// thread_local from before the switch. So: one pointer, read by an accessor whose result is hidden
// from the optimiser, and nobody keeps the result across a switch. On x86_64 the accessor is two
// instructions that the compiler cannot look into; elsewhere it is out of line.
#pragma once

namespace weft::detail {

class carrier;

// The carrier (worker) of the calling thread, or null on a plain thread. Never hold it over a park.
#if defined(__x86_64__) && defined(__ELF__) && defined(__LP64__)
inline carrier* current_carrier() noexcept {
  carrier* result;
  asm volatile(
      "movq weft_current_carrier@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(result));
  return result;
}
#else
carrier* current_carrier() noexcept;
#endif
void set_current_carrier(carrier* now) noexcept;

// Pointers of a plain thread's own, given to `drop` when the thread ends, in this order: what comes
// first may still use what comes later. Not for fibers: they have control blocks.
enum class thread_slot_use : unsigned { storage, side, parker };
struct thread_slot {
  void* value = nullptr;
  void (*drop)(void* value) noexcept = nullptr;
};
thread_slot& this_threads_slot(thread_slot_use use) noexcept;

// What the handler of signals is telling just now, and in which frame. For that handler alone: its
// thread stays the same. Async-signal-safe.
struct told_signal {
  const void* what = nullptr;
  const void* frame = nullptr;
};
told_signal& this_threads_told_signal() noexcept;

}  // namespace weft::detail
