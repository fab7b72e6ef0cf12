// Groups: children that end before the scope does.
// The parent's fiber makes, waits and destroys; any fiber may start children; each child reports
// its end on its own stack.
//
// (1) alive and the list of children change together under scope::lock. The parent returns from
//     wait() only after it saw alive == 0 under that lock, and a child does not touch the group
//     after the unlock in which it was counted off: so the group may be destroyed at once.
// (2) The first failure is kept for wait() and cancels the siblings. A later one is left to whoever
//     joins its handle; if nobody can any more, it goes to options::on_also_failed.
// (3) A limit counts children that are alive, and the caller of go() waits for its turn. Each end
//     of a child wakes one who waits, and whoever is woken looks again.
#include <weft/group.hpp>
#include <weft/race.hpp>

#include <mutex>
#include <new>
#include <stdexcept>

#include "fiber/park.hpp"
#include "sched/scheduler.hpp"

namespace weft {
namespace detail {
namespace {

struct group_state : group_scope {
  group_state() noexcept { child_ended = &group_state::ended; }

  wait_list waiters;  // guarded by lock, like all below
  std::size_t most = SIZE_MAX;
  std::exception_ptr failure_of_child;
  bool failure_stops_owner = false;  // see for_each(): what it does in the group's scope ends, too

  static void ended(group_scope& scope, control& child) noexcept {
    auto& self = static_cast<group_state&>(scope);
    if (child.failed.error != nullptr) self.note_failure(child);
    wake_batch wakes;
    std::lock_guard<spin_lock> hold(self.lock);
    intrusive_list<control, sibling_hook>::erase(child);
    if (--self.alive < self.most) self.starters.claim_one(wakes);
    if (self.alive == 0) self.waiters.claim_all(wakes);
  }

  void note_failure(control& child) noexcept {
    bool first = false;
    {
      std::lock_guard<spin_lock> hold(lock);
      first = failure_of_child == nullptr;
      if (first) failure_of_child = child.failed.error;
    }
    {
      std::lock_guard<spin_lock> hold(child.lock);
      (first ? child.failure_received : child.failed_after_sibling) = true;
    }
    if (!first) return;
    if (failure_stops_owner)
      request_cancel(*this);
    else
      request_cancel_children(*this);
  }

  std::exception_ptr take_failure() noexcept {
    std::lock_guard<spin_lock> hold(lock);
    return std::exchange(failure_of_child, nullptr);
  }

  // Counts the child in, once there is room. Returns whether the group is cancelled.
  bool enter(control& child) {
    for (;;) {
      {
        std::lock_guard<spin_lock> hold(lock);
        if (has_room()) {
          ++alive;
          children.push_back(child);
          return closed_to_new_work;
        }
      }
      try {
        wait_for_room();
      } catch (...) {
        // It may have been woken for a place that it does not take now.
        wake_batch wakes;
        std::lock_guard<spin_lock> hold(lock);
        if (has_room()) starters.claim_one(wakes);
        throw;
      }
    }
  }

  bool has_room() const noexcept { return alive < most || closed_to_new_work; }

  void wait_for_room() {
    const wake_reason why =
        wait_in_list(starters, lock, "group::go", never, [this] { return has_room(); });
    if (why == wake_reason::cancelled) throw_cancelled();
  }

  // Waits once; false if all children have ended.
  bool wait_for_children(cancellation mode, bool& interrupted) {
    const wake_reason why = wait_in_list(
        waiters, lock, "group", never, [this] { return alive == 0; }, mode);
    interrupted = interrupted || why == wake_reason::cancelled;
    // That all had ended came first, whatever has been asked for since.
    std::lock_guard<spin_lock> hold(lock);
    return why == wake_reason::cancelled || alive > 0;
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
  state->shields = !detail::may_interrupt(self);
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
      state.owner->home->handlers->unhandled("child of a group", lost);
  state.~group_state();
}

void group::start(detail::control* child) {
  group_state& state = state_of(room_);
  child->group = &state;
  child->stops_with_group = child->home == state.owner->home;
  bool cancelled = false;
  try {
    cancelled = state.enter(*child);
  } catch (...) {
    discard_task(child);
    throw;
  }
  if (cancelled) request_cancel(child->root);
  start_task(child);
}

void group::set_limit(std::size_t most) {
  if (most == 0)
    throw std::invalid_argument("weft: a group with a limit of 0 could never start a child");
  group_state& state = state_of(room_);
  detail::wake_batch wakes;
  std::lock_guard<detail::spin_lock> hold(state.lock);
  state.most = most;
  state.starters.claim_all(wakes);
}

bool group::is_cancelled() const noexcept {
  group_state& state = state_of(const_cast<unsigned char*>(room_));
  std::lock_guard<detail::spin_lock> hold(state.lock);
  return state.closed_to_new_work;
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
    if (!cancelled_here(state)) detail::throw_cancelled();
    while (state.wait_for_children(cancellation::ignored, interrupted)) {
    }
  }
  if (std::exception_ptr failure = state.take_failure()) std::rethrow_exception(failure);
  if (interrupted) detail::throw_cancelled();
}

void detail::report_also_failed(const std::exception_ptr& what) noexcept {
  const detail::control& self = *detail::current_fiber();
  self.home->handlers->also_failed(self.name != nullptr ? self.name : "", what);
}

void group::stop_owner_on_failure() noexcept {
  group_state& state = state_of(room_);
  std::lock_guard<detail::spin_lock> hold(state.lock);
  state.failure_stops_owner = true;
}

void group::cancel() noexcept { request_cancel_children(state_of(room_)); }

}  // namespace weft
