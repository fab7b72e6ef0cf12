// Cancel scopes: who cancels whom, and until when.
//
// (1) A fiber's scopes are a chain from the innermost outwards to its root, which lives in the
//     control block; the others live in the fiber's own frames. The fiber pushes and pops them, a
//     canceller walks them: both under control::lock.
// (2) A request on a scope is in force for the fiber if no shield stands between the innermost
//     scope and it. control::cancel_pending caches that; it changes only under control::lock.
// (3) A group scope also has children, guarded by scope::lock. Lock order: a fiber's lock, then the
//     lock of one of its groups; never two fibers' locks at once: the walk uses a work list.
// (4) A request is permanent for its scope. Nothing else is: popping the scope ends its effect.
// (5) The deadline of a scope is armed by the first park below it, not when the scope is made: most
//     scopes end without a park, and then a deadline has cost no timer. A mere look whether to stop
//     compares it with the clock; the second look arms it, for many more may follow.
// (6) A group that is opened while an exception unwinds the fiber shields, too: nothing is
//     delivered then, so its children must not be stopped either.
#pragma once
#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "fiber/timer.hpp"
#include "fiber/wait_list.hpp"

namespace weft::detail {

struct control;
class registry;

struct sibling_hook : list_hook {};

struct cancel_scope {
  enum class kind : unsigned char { root, plain, shield, group };

  explicit cancel_scope(kind of) noexcept : what(of), shields(of == kind::shield) {}
  cancel_scope(const cancel_scope&) = delete;
  cancel_scope& operator=(const cancel_scope&) = delete;

  const kind what;
  bool shields;                 // fixed once it is pushed
  bool requested = false;       // guarded by owner->lock
  bool deadline_armed = false;  // owner only: armed, or found to have passed
  bool looked_at = false;       // owner only
  control* owner = nullptr;
  cancel_scope* outer = nullptr;
  timer* expiry = nullptr;  // of a scope with a deadline
};

struct deadline_scope : cancel_scope {
  explicit deadline_scope(nanos when) noexcept : cancel_scope(kind::plain) {
    alarm.deadline = when;
    alarm.scope = this;
    expiry = &alarm;
  }

  timer alarm;
};

// The children's side of a group; see task/group.cpp for who waits.
struct group_scope : cancel_scope {
  group_scope() noexcept : cancel_scope(kind::group) {}

  spin_lock lock;
  bool closed_to_new_work = false;  // cancelled: children that come later start cancelled
  std::size_t alive = 0;
  intrusive_list<control, sibling_hook> children;
  wait_list starters;  // wait for room under the group's limit; a cancelled group has room
  // Called on the child's stack as its last act, after its result is stored.
  void (*child_ended)(group_scope&, control& child) noexcept = nullptr;
};

// Both on the running fiber, for its own frames; strictly nested.
void push_scope(cancel_scope& inner, control& self) noexcept;
void pop_scope(cancel_scope& inner) noexcept;

// Any thread, while the scope is known to live.
void request_cancel(cancel_scope& scope) noexcept;
void request_cancel_children(group_scope& group) noexcept;
// Every fiber that no other is to stop: children are reached through the owner of their group.
void request_cancel_all(registry& fibers) noexcept;

// Whether a request on this scope or further out is in force.
bool cancelled_here(const cancel_scope& scope) noexcept;

// Whether there is a request on this scope, and none from further out is in force as well.
bool cancelled_here_alone(const cancel_scope& scope) noexcept;

// Whether the fiber is to stop, be it that the request is still on its way down the tree to it.
// Of the fiber that runs: what its groups belong to lives.
bool asked_to_stop(const control& self) noexcept;

// Arms the deadlines of the chain that are not armed yet, or only looks whether they have passed:
// see (5). Running fiber only.
void arm_deadlines(control& self) noexcept;
void look_at_deadlines(control& self) noexcept;

}  // namespace weft::detail
