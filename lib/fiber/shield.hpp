// weft::shield for the library's own code, which may run on a plain thread as well.
#pragma once
#include "fiber/scope.hpp"

namespace weft::detail {

// Cancellation is not delivered to this fiber while it lives. Null: of a plain thread, or unwanted.
class fiber_shield : cancel_scope {
 public:
  explicit fiber_shield(control* self) noexcept : cancel_scope(kind::shield) {
    if (self != nullptr) push_scope(*this, *self);
  }
  ~fiber_shield() {
    if (owner != nullptr) pop_scope(*this);
  }
  fiber_shield(const fiber_shield&) = delete;
  fiber_shield& operator=(const fiber_shield&) = delete;
};

}  // namespace weft::detail
