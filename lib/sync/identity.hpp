// Who owns a lock: the fiber, or the thread where there is none. Never 0; the three lowest bits are
// free.
#pragma once
#include <cstdint>

#include "fiber/control.hpp"

namespace weft::detail {

inline std::uintptr_t caller_identity() noexcept {
  static_assert(alignof(control) >= 8 && alignof(thread_slot) >= 8);
  carrier* here = current_carrier();
  if (here != nullptr && here->running != nullptr)
    return reinterpret_cast<std::uintptr_t>(here->running);
  return reinterpret_cast<std::uintptr_t>(&this_threads_slot(thread_slot_use::parker));
}

}  // namespace weft::detail
