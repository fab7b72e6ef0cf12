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
#include <mutex>

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

// The usual wait: in a list that the lock guards, unless ready() holds, which is asked under the
// lock. Who was not notified has left the list when it returns.
template <class Ready>
wake_reason wait_in_list(wait_list& list, spin_lock& lock, const char* what, nanos deadline,
                         const Ready& ready, cancellation mode = cancellation::delivered) {
  parking wait(what, mode);
  wait_node node(wait.self());
  {
    std::lock_guard<spin_lock> hold(lock);
    if (ready()) {
      wait.abandon();
      return wake_reason::notified;
    }
    list.push(node);
  }
  const wake_reason why = wait.park_until(deadline);
  if (why != wake_reason::notified) {
    std::lock_guard<spin_lock> hold(lock);
    wait_list::unlink(node);
  }
  return why;
}

[[noreturn]] void throw_cancelled();
[[noreturn]] void throw_may_not_suspend(const char* what);

// Throws cancelled if a request is in force and the fiber is not unwinding.
void deliver_cancellation(control& self);

// Whether parking calls of this fiber deliver cancellation just now: not while it unwinds.
bool may_interrupt(const control& self) noexcept;

}  // namespace weft::detail
