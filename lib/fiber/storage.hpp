// What a fiber, or a plain thread, has of its own: its fiber_locals, and its context variables.
// Only that fiber touches it, except that fibers share one context map.
//
// (1) A value stands in the list of its fiber, youngest first, which owns it, and in the table at
//     its place, for find(). A place whose fiber_local is gone goes to the next one made; keys are
//     never used again, so a value with another key is a left-over: it goes when the place is
//     needed, or with the fiber.
// (2) A context map is changed only while one fiber alone has it; otherwise that fiber gets a copy.
//     So a spawn costs one reference, and nothing when there is no map.
// (3) Everything goes on the fiber, before its end is told, under a shield. What the destructors
//     make meanwhile goes as well.
#pragma once

namespace weft::detail {

struct control;
struct local_table;
struct context_map;

struct fiber_storage {
  local_table* locals = nullptr;
  context_map* context = nullptr;

  bool empty() const noexcept { return locals == nullptr && context == nullptr; }
};

// For a fiber that is about to be made by this fiber, or with null by this thread.
context_map* inherited_context(const control* spawner) noexcept;

// For a fiber that never ran, or to be called last.
void drop_context(fiber_storage& of) noexcept;

// On the fiber, as its last act.
void drop_storage(control& self) noexcept;

}  // namespace weft::detail
