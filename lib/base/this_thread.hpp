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

}  // namespace weft::detail
