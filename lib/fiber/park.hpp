// The one suspend point: every wait in the library is a `parking`.
// Used by the thread that waits, a fiber or, where the public page says [T], a plain thread.
//
//   parking wait("recv");                       // may throw cancelled, nothing is queued yet
//   { lock; if (ready) { wait.abandon(); return; } list.push_back(node{wait.self()}); }
//   wake_reason why = wait.park();
//   if (why != notified) { lock; unlink what is still queued; }
//   if (why == cancelled) throw_cancelled();
//
// (1) Between construction and park() or abandon() the caller must not park otherwise.
// (2) After park() every node that holds self() must be unlinked under its list's lock before the
//     frame ends, unless its claimer unlinked it.
#pragma once
#include "fiber/control.hpp"

namespace weft::detail {

enum class cancellation { delivered, ignored };

class parking {
 public:
  // Throws cancelled if the scope is cancelled and this wait delivers it.
  explicit parking(const char* what, cancellation mode = cancellation::delivered);
  parking(const parking&) = delete;
  parking& operator=(const parking&) = delete;

  waitable& self() noexcept { return *self_; }

  wake_reason park() noexcept { return park_until(never); }
  wake_reason park_until(nanos deadline) noexcept;
  void abandon() noexcept;

 private:
  waitable* self_;
};

[[noreturn]] void throw_cancelled();
[[noreturn]] void throw_may_not_suspend(const char* what);

// Throws cancelled if a request is in force and the fiber is not unwinding.
void deliver_cancellation(control& self);

// Whether parking calls of this fiber deliver cancellation just now: not while it unwinds.
bool may_interrupt(const control& self) noexcept;

}  // namespace weft::detail
