// The child of a fork() has none of our threads: what would start a fiber or wait for one there
// must say so, or it would hang. Set by runtime.cpp; exec ends it.
#pragma once
#include <atomic>
#include <stdexcept>

namespace weft::detail {

inline std::atomic<bool> is_forked_child{false};

// Throws std::logic_error there.
inline void refuse_in_forked_child() {
  if (is_forked_child.load(std::memory_order_relaxed))
    throw std::logic_error(
        "weft: this process was forked from one that runs fibers; call exec, or fork before "
        "starting a runtime");
}

}  // namespace weft::detail
