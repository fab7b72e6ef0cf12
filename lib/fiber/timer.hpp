// One entry of a timer queue; the queue itself is the scheduler's (sched/timer_queue.hpp).
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace weft::detail {

class timer_queue;
struct waitable;
struct cancel_scope;

// Either wakes a waiter or cancels a scope. Lives in the frame that waits; that frame disarms it
// before it returns.
struct timer {
  enum class phase : std::uint8_t { idle, armed, firing };

  nanos deadline = never;
  timer_queue* queue = nullptr;  // null until armed
  std::size_t place = 0;         // index in the heap, guarded by the queue's lock
  std::atomic<phase> state{phase::idle};
  waitable* waiter = nullptr;
  cancel_scope* scope = nullptr;
  timer* next = nullptr;  // while it fires
};

}  // namespace weft::detail
