// See scope.hpp for the rules.
#include "fiber/scope.hpp"

#include <mutex>
#include <utility>

#include "fiber/control.hpp"

namespace weft::detail {
namespace {

// Whether a request is in force between `from` and the nearest shield outwards.
bool in_force(const cancel_scope* from) noexcept {
  for (; from != nullptr; from = from->outer) {
    if (from->requested) return true;
    if (from->shields) return false;
  }
  return false;
}

bool reaches_root(const cancel_scope* from) noexcept {
  for (; from != nullptr; from = from->outer)
    if (from->shields) return false;
  return true;
}

class canceller {
 public:
  ~canceller() {
    while (control* next = work_) {
      work_ = next->next_cancelled;
      request(next->root);
      drop_reference(*next);
    }
  }

  void request(cancel_scope& scope) noexcept {
    control& fiber = *scope.owner;
    bool ended_its_wait = false;
    {
      std::lock_guard<spin_lock> hold(fiber.lock);
      if (scope.requested) return;
      // What an ended fiber still drops is not to be interrupted.
      if (&scope == &fiber.root && fiber.done.load(std::memory_order_relaxed)) return;
      scope.requested = true;
      // What lies further in than a shield is not reached until the shield ends.
      cancel_scope* from = fiber.innermost;
      for (cancel_scope* at = from; at != &scope; at = at->outer)
        if (at->shields) from = at->outer;
      for (cancel_scope* at = from; at != scope.outer; at = at->outer)
        if (at->what == cancel_scope::kind::group) children(static_cast<group_scope&>(*at));
      if (in_force(fiber.innermost)) {
        fiber.cancel_pending.store(true, std::memory_order_relaxed);
        // Under the lock, so that it cannot leave the scope and start another wait meanwhile.
        ended_its_wait = interrupt_word(fiber.word);
      }
    }
    if (ended_its_wait) resume(fiber);
  }

  void children(group_scope& group) noexcept {
    std::lock_guard<spin_lock> hold(group.lock);
    group.closed_to_new_work = true;
    group.starters.claim_all(wakes_);
    group.children.for_each([this](control& child) { later(child); });
  }

  // For a fiber that lives; its request follows.
  void later(control& fiber) noexcept {
    if (fiber.cancel_queued.exchange(true, std::memory_order_relaxed)) return;
    add_reference(fiber);
    fiber.next_cancelled = work_;
    work_ = &fiber;
  }

 private:
  control* work_ = nullptr;
  wake_batch wakes_;
};

}  // namespace

void push_scope(cancel_scope& inner, control& self) noexcept {
  inner.owner = &self;
  if (inner.expiry != nullptr) ++self.unarmed_deadlines;
  std::lock_guard<spin_lock> hold(self.lock);
  inner.outer = self.innermost;
  self.innermost = &inner;
  if (inner.shields) self.cancel_pending.store(false, std::memory_order_relaxed);
  if (inner.what == cancel_scope::kind::group)
    static_cast<group_scope&>(inner).closed_to_new_work = in_force(&inner);
}

void pop_scope(cancel_scope& inner) noexcept {
  control& self = *inner.owner;
  if (inner.expiry != nullptr) {
    if (!inner.deadline_armed)
      --self.unarmed_deadlines;
    else if (inner.expiry->queue != nullptr)
      self.home->disarm(*inner.expiry);
  }
  std::lock_guard<spin_lock> hold(self.lock);
  WEFT_CHECK(self.innermost == &inner);
  self.innermost = inner.outer;
  // The groups that are left lie outside `inner`, so if it is a shield they were reached at once.
  self.cancel_pending.store(in_force(inner.outer), std::memory_order_relaxed);
}

void request_cancel(cancel_scope& scope) noexcept { canceller().request(scope); }

void request_cancel_children(group_scope& group) noexcept { canceller().children(group); }

void request_cancel_all(registry& fibers) noexcept {
  canceller all;
  fibers.for_each([&all](control& fiber) {
    if (!fiber.stops_with_group) all.later(fiber);
  });
}

bool cancelled_here(const cancel_scope& scope) noexcept {
  std::lock_guard<spin_lock> hold(scope.owner->lock);
  return in_force(&scope);
}

bool cancelled_here_alone(const cancel_scope& scope) noexcept {
  std::lock_guard<spin_lock> hold(scope.owner->lock);
  return scope.requested && !in_force(scope.outer);
}

bool asked_to_stop(const control& self) noexcept {
  const cancel_scope* from = self.innermost;
  for (const control* at = &self;; at = from->owner) {
    {
      std::lock_guard<spin_lock> hold(const_cast<spin_lock&>(at->lock));
      if (in_force(from)) return true;
      if (!reaches_root(from)) return false;
    }
    if (!at->stops_with_group && at->home->stopping()) return true;
    group_scope* const in = at->group;
    if (in == nullptr) return false;
    std::lock_guard<spin_lock> hold(in->lock);
    if (in->closed_to_new_work) return true;
    from = in;
  }
}

namespace {

void for_unarmed(control& self, bool parks) noexcept {
  unsigned left = self.unarmed_deadlines;
  for (cancel_scope* at = self.innermost; left > 0; at = at->outer) {
    if (at->expiry == nullptr || at->deadline_armed) continue;
    --left;
    carrier* here = current_carrier();
    const bool over = at->expiry->deadline <= here->now();
    if (!over && !parks && !std::exchange(at->looked_at, true)) continue;
    at->deadline_armed = true;
    --self.unarmed_deadlines;
    if (over)
      request_cancel(*at);
    else
      here->arm(*at->expiry);
  }
}

}  // namespace

void arm_deadlines(control& self) noexcept { for_unarmed(self, true); }

void look_at_deadlines(control& self) noexcept { for_unarmed(self, false); }

}  // namespace weft::detail
