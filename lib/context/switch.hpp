// Switching between execution contexts. The only layer that knows Boost.Context: jump.hpp.
// Called by a carrier thread for itself; a context is run by one thread at a time.
//
// (1) What a switch carries: callee-saved registers, the floating-point control words, the two
//     words of C++ exception state, and what the sanitizers must be told. Everything else belongs
//     to the thread.
// (2) A context is resumable only once nobody stands on its stack: so nobody may publish a context
//     before switch_to() has arrived on the other side.
// (3) switch_to() returns the thread it woke on. Nothing that depends on a thread may be held
//     across it: no TLS address, no errno, no carrier.
// Rejected: boost::context::fiber (unwinds by force on destruction, allocates its stack itself, and
// keeps exception state only since 1.88); ucontext (a system call each way).
#pragma once
#include <cstddef>
#include <cstdint>

#include "context/fp_control.hpp"
#include "context/sanitizer.hpp"
#include "context/stack.hpp"

namespace weft::detail {

// The Itanium ABI's per-thread exception state, as far as every C++ runtime agrees on it.
struct eh_state {
  void* caught = nullptr;
  unsigned uncaught = 0;
};

class thread_side;
struct context;

// Where a context goes when it ends, and on which thread it stands then.
struct departure {
  context* target;
  thread_side* here;
};

// The body of a context. When it returns, the context is left for good: the object that described
// it may be gone already.
using context_main = departure (*)(thread_side& entered);

struct context {
  void* sp = nullptr;  // where it stopped
  eh_state eh;
  context_main main = nullptr;  // read once, when it starts
  fp_control fp;
#ifdef WEFT_TSAN
  void* tsan = nullptr;
#endif
#ifdef WEFT_ASAN
  const void* bottom = nullptr;
  std::size_t bytes = 0;
#endif
};

// Leaves `self` for `target`; returns when someone switches back to `self`.
thread_side* switch_to(context& self, context& target, thread_side& here) noexcept;

// The thread's half of a switch; base of every carrier.
class thread_side {
 public:
  thread_side() noexcept;  // on the thread it describes
  // Call again when another thread takes this object over.
  void bind_to_this_thread() noexcept;

  // The context that runs now, as far as it was entered by a switch on this side.
  context& entered() const noexcept { return *to_; }

  // How many exceptions are unwinding the context that runs now.
  unsigned uncaught() const noexcept { return eh_->uncaught; }

 private:
  friend struct switching;

  eh_state* eh_;
  context* to_ = nullptr;
#ifdef WEFT_ASAN
  context* from_ = nullptr;
#endif
  context discarded_;  // stands in for a context that has ended
};

// Prepares `fresh` to start in `main` on this stack.
void make_context(context& fresh, stack& on, context_main main) noexcept;

// A new fiber that starts where an ended one stopped, on its stack and without a switch.
void adopt_context(context& fresh, stack& on) noexcept;

}  // namespace weft::detail
