// Groups: children that end before the scope does.
// The parent's fiber makes, waits and destroys; any fiber may start children; each child reports
// its end on its own stack.
//
// (1) alive and the list of children change together under scope::lock. The parent returns from
//     wait() only after it saw alive == 0 under that lock, and a child does not touch the group
//     after the unlock in which it was counted off: so the group may be destroyed at once.
// (2) The first failure is kept and cancels the siblings; it counts as received, and so do the
// later
//     ones: they are mostly consequences. Their handles still give them to whoever joins them.
#include <weft/group.hpp>

#include <mutex>
#include <new>

#include "fiber/park.hpp"
#include "sched/scheduler.hpp"

namespace weft {
namespace detail {
namespace {

struct group_state : group_scope {
  group_state() noexcept { child_ended = &group_state::ended; }

  wait_list waiters;  // guarded by lock, like all below
  std::exception_ptr failure_of_child;

  static void ended(group_scope& scope, control& child) noexcept {
    auto& self = static_cast<group_state&>(scope);
    if (child.failed.error != nullptr) self.note_failure(child);
    wake_batch wakes;
    std::lock_guard<spin_lock> hold(self.lock);
    intrusive_list<control, sibling_hook>::erase(child);
    if (--self.alive == 0) self.waiters.claim_all(wakes);
  }

  void note_failure(control& child) noexcept {
    std::exception_ptr error;
    {
      std::lock_guard<spin_lock> hold(child.lock);
      child.failure_received = true;
      error = child.failed.error;
    }
    {
      std::lock_guard<spin_lock> hold(lock);
      if (failure_of_child != nullptr) return;
      failure_of_child = std::move(error);
    }
    request_cancel_children(*this);
  }

  std::exception_ptr take_failure() noexcept {
    std::lock_guard<spin_lock> hold(lock);
    return std::exchange(failure_of_child, nullptr);
  }

  // Waits once; false if all children have ended.
  bool wait_for_children(cancellation mode, bool& interrupted) {
    parking wait("group", mode);
    wait_node node(wait.self());
    {
      std::lock_guard<spin_lock> hold(lock);
      if (alive == 0) {
        wait.abandon();
        return false;
      }
      waiters.push(node);
    }
    const wake_reason why = wait.park();
    if (why == wake_reason::notified) return true;
    std::lock_guard<spin_lock> hold(lock);
    wait_list::unlink(node);
    interrupted = true;
    return true;
  }
};

group_state& state_of(unsigned char* room) noexcept {
  return *std::launder(reinterpret_cast<group_state*>(room));
}

}  // namespace
}  // namespace detail

using detail::cancellation;
using detail::group_state;
using detail::state_of;

group::group() {
  static_assert(sizeof(group_state) <= sizeof room_ && alignof(group_state) <= alignof(group));
  detail::control& self = detail::require_fiber("group");
  auto* state = ::new (static_cast<void*>(room_)) group_state;
  push_scope(*state, self);
}

group::~group() {
  group_state& state = state_of(room_);
  bool interrupted = false;
  request_cancel_children(state);
  while (state.wait_for_children(cancellation::ignored, interrupted)) {
  }
  pop_scope(state);
  // A failure that wait() never fetched: nobody can receive it any more. While another exception
  // unwinds the fiber, that one speaks for both.
  if (std::exception_ptr lost = state.take_failure())
    if (detail::may_interrupt(*state.owner))
      (*state.owner->home->handler)("child of a group", lost);
  state.~group_state();
}

void group::start(detail::control* child) {
  group_state& state = state_of(room_);
  child->group = &state;
  bool cancelled = false;
  {
    std::lock_guard<detail::spin_lock> hold(state.lock);
    ++state.alive;
    state.children.push_back(*child);
    cancelled = state.closed_to_new_work;
  }
  if (cancelled) request_cancel(child->root);
  start_task(child);
}

void group::wait() {
  group_state& state = state_of(room_);
  bool interrupted = false;
  try {
    while (!interrupted && state.wait_for_children(cancellation::delivered, interrupted)) {
    }
  } catch (const cancelled&) {
    interrupted = true;
  }
  if (interrupted) {
    // Through a scope around the group: then the children have it as well. Through one inside, a
    // deadline around this call say: then it is the wait alone that ends.
    if (!cancelled_outside(state)) detail::throw_cancelled();
    while (state.wait_for_children(cancellation::ignored, interrupted)) {
    }
  }
  if (std::exception_ptr failure = state.take_failure()) std::rethrow_exception(failure);
  if (interrupted) detail::throw_cancelled();
}

void group::cancel() noexcept { request_cancel_children(state_of(room_)); }

}  // namespace weft
