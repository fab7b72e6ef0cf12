// Scopes as the public header shows them.
#include <weft/cancel.hpp>

#include <new>

#include "fiber/park.hpp"

namespace weft {
namespace detail {
namespace {

deadline_scope& frame_in(unsigned char* room) noexcept {
  return *std::launder(reinterpret_cast<deadline_scope*>(room));
}

}  // namespace

scope_frame::scope_frame(kind what, std::int64_t deadline) {
  static_assert(sizeof(deadline_scope) <= sizeof room_);
  control& self = require_fiber(what == kind::shield ? "shield" : "with_timeout()");
  // One layout for both: a shield is a cancel_scope, which the deadline scope begins with.
  cancel_scope* made = what == kind::shield ? ::new (static_cast<void*>(room_))
                                                  cancel_scope(cancel_scope::kind::shield)
                                            : ::new (static_cast<void*>(room_))
                                                  deadline_scope(deadline);
  push_scope(*made, self);
}

scope_frame::~scope_frame() {
  auto& scope = *std::launder(reinterpret_cast<cancel_scope*>(room_));
  pop_scope(scope);
  if (scope.expiry != nullptr)
    static_cast<deadline_scope&>(scope).~deadline_scope();
  else
    scope.~cancel_scope();
}

bool scope_frame::converts() const noexcept {
  return cancelled_here_alone(frame_in(const_cast<unsigned char*>(room_)));
}

}  // namespace detail

void check_cancelled() {
  if (detail::control* self = detail::current_fiber()) detail::deliver_cancellation(*self);
}

bool cancel_requested() noexcept {
  detail::control* self = detail::current_fiber();
  if (self == nullptr) return false;
  if (self->unarmed_deadlines > 0) look_at_deadlines(*self);
  return self->cancel_pending.load(std::memory_order_relaxed);
}

}  // namespace weft
