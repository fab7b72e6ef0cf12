// See scope.hpp for the rules.
#include "fiber/scope.hpp"

#include <mutex>

#include "fiber/control.hpp"

namespace weft::detail {
namespace {

// Whether a request is in force between `from` and the nearest shield outwards.
bool in_force(const cancel_scope* from) noexcept {
  for (; from != nullptr && from->what != cancel_scope::kind::shield; from = from->outer)
    if (from->requested) return true;
  return false;
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
    claim got = claim::lost;
    {
      std::lock_guard<spin_lock> hold(fiber.lock);
      if (scope.requested) return;
      scope.requested = true;
      // What lies further in than a shield is not reached until the shield ends.
      cancel_scope* from = fiber.innermost;
      for (cancel_scope* at = from; at != &scope; at = at->outer)
        if (at->what == cancel_scope::kind::shield) from = at->outer;
      for (cancel_scope* at = from; at != scope.outer; at = at->outer)
        if (at->what == cancel_scope::kind::group) children(static_cast<group_scope&>(*at));
      if (in_force(fiber.innermost)) {
        fiber.cancel_pending.store(true, std::memory_order_relaxed);
        // Under the lock, so that it cannot leave the scope and start another wait meanwhile.
        got = interrupt_word(fiber.word);
      }
    }
    if (got == claim::must_resume) resume(fiber);
  }

  void children(group_scope& group) noexcept {
    std::lock_guard<spin_lock> hold(group.lock);
    group.closed_to_new_work = true;
    group.children.for_each([this](control& child) {
      if (child.cancel_queued.exchange(true, std::memory_order_relaxed)) return;
      add_reference(child);
      child.next_cancelled = work_;
      work_ = &child;
    });
  }

 private:
  control* work_ = nullptr;
};

}  // namespace

void push_scope(cancel_scope& inner, control& self) noexcept {
  inner.owner = &self;
  if (inner.expiry != nullptr) ++self.unarmed_deadlines;
  std::lock_guard<spin_lock> hold(self.lock);
  inner.outer = self.innermost;
  self.innermost = &inner;
  if (inner.what == cancel_scope::kind::shield) {
    self.cancel_pending.store(false, std::memory_order_relaxed);
  } else if (inner.what == cancel_scope::kind::group) {
    static_cast<group_scope&>(inner).closed_to_new_work = in_force(&inner);
  }
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

bool cancelled_outside(const cancel_scope& inner) noexcept {
  std::lock_guard<spin_lock> hold(inner.owner->lock);
  return in_force(inner.outer);
}

void arm_deadlines(control& self) noexcept {
  for (cancel_scope* at = self.innermost; self.unarmed_deadlines > 0; at = at->outer) {
    if (at->expiry == nullptr || at->deadline_armed) continue;
    at->deadline_armed = true;
    --self.unarmed_deadlines;
    carrier* here = current_carrier();
    if (at->expiry->deadline <= here->now())
      request_cancel(*at);
    else
      here->arm(*at->expiry);
  }
}

}  // namespace weft::detail
