// One entry of a timer queue; the queue itself is the scheduler's (sched/timer_queue.hpp).
#pragma once
#include <atomic>
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
  waitable* waiter = nullptr;
  cancel_scope* scope = nullptr;
  timer* next = nullptr;    // in its slot, among its siblings in the heap, or while it fires
  timer* prev = nullptr;    // the one before it; of a heap's first child its parent
  timer* child = nullptr;   // in the heap
  std::uint16_t place = 0;  // its slot, guarded by the queue's lock like the links
  std::atomic<phase> state{phase::idle};
};

}  // namespace weft::detail
