// Generators: a callable on a stack of its own, entered and left by whoever wants the next value.
// Called by the driver, a fiber or a plain thread, and on the generator's stack by the body.
//
// (1) The body is a part of its driver: current_fiber() is the same on either stack. If the body
//     parks, control::where holds the context on the generator's stack until the fiber goes on;
//     nobody below needs to know.
// (2) busy is taken by the one who drives, delegates to, or drops a generator. Who finds it taken
//     has made a mistake, and learns of it before anything is touched.
// (3) A delegation makes a chain: its root is what the consumer holds, its leaf what really runs.
//     The consumer switches straight to the leaf and the leaf straight back. Those between stand in
//     delegate_generated() until what they delegate to has ended. All know the root.
// (4) At a yield the driver must have the scopes and pins that it had at the resume: what the body
//     opened in between is linked to the fiber, and the next resume may be another fiber's.
// (5) Nothing of a thread is held across a switch: a position is good until then.
// (6) An abandoned body is resumed once more; from then on yield throws. So it runs to its end, and
//     a chain ends from the leaf outwards.
#include <weft/generator.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <system_error>

#include "context/overflow.hpp"
#include "context/switch.hpp"
#include "fiber/control.hpp"
#include "fiber/shield.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t default_stack_bytes = 256 * 1024;  // as fibers have, so that they share

// What yield throws in an abandoned generator. Not a std::exception.
struct generator_abandoned {};

struct generator_body final : generator_core, context {
  context consumer;                 // of the root: who waits for the value
  generator_body* leaf = this;      // of the root
  generator_body* outer = nullptr;  // who delegates to it
  const generator_ops* ops = nullptr;
  stack* on = nullptr;  // null until it starts
  std::exception_ptr error;
  std::uint8_t stack_class = 0;
  unsigned pins = 0;  // the driver's at the resume, like the next two; of the root
  const cancel_scope* innermost = nullptr;
  const void* driver = nullptr;  // a fiber, or a plain thread's side
};

static_assert(sizeof(generator_body) <= generator_core_bytes, "raise generator_core_bytes");
static_assert(generator_core_bytes % alignof(std::max_align_t) == 0);

generator_body& body_of(generator_core& core) noexcept {
  return static_cast<generator_body&>(core);
}

// The side of a plain thread, and where it handles an overflow.
struct plain_side : thread_side {
  signal_stack for_overflows;
};

thread_side& plain_threads_side() {
  thread_slot& mine = this_threads_slot(thread_slot_use::side);
  if (mine.value == nullptr) {
    mine.value = new plain_side;
    mine.drop = [](void* side) noexcept { delete static_cast<plain_side*>(side); };
  }
  return *static_cast<plain_side*>(mine.value);
}

// Who runs just now.
struct position {
  position()
      : worker(current_carrier()),
        fiber(worker == nullptr ? nullptr : worker->running),
        side(worker == nullptr ? plain_threads_side() : *worker) {}

  carrier* worker;
  control* fiber;
  thread_side& side;
};

const void* driver_of(const control* fiber, const thread_side& side) noexcept {
  return fiber == nullptr ? static_cast<const void*>(&side) : fiber;
}

// The body, on its own stack.
departure generator_main(thread_side& entered) {
  auto& self = static_cast<generator_body&>(entered.entered());
  try {
    self.ops->run(callable_of(&self), self);
  } catch (...) {
    self.error = std::current_exception();
  }
  self.ops->drop(callable_of(&self));
  self.ended = true;
  context* back = &self.consumer;
  if (self.outer != nullptr) {
    body_of(*self.root).leaf = self.outer;
    back = self.outer;
  }
  return {back, &position().side};
}

// With busy taken; throws before anything has happened.
void start(generator_body& self) {
  report_stack_overflows(describe_running_fiber);
  self.on = stacks::acquire(self.stack_class);
  if (self.on == nullptr)
    throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                            "weft: no memory for the stack of a generator");
  self.on->of_generator = true;
  make_context(self, *self.on, &generator_main);
}

// What has ended or never began needs no stack; nor does its handle tell of a value.
void finish(generator_body& self) noexcept {
  self.value = nullptr;
  if (self.on == nullptr) return;
  self.on->of_generator = false;
  stacks::release(std::exchange(self.on, nullptr));
}

void note_driver(generator_body& root, const control* fiber, const thread_side& side) noexcept {
  root.driver = driver_of(fiber, side);
  if (fiber == nullptr) return;
  root.innermost = fiber->innermost;
  root.pins = fiber->pins;
}

// A fiber that unwinds is not interrupted. The body has exception state of its own and would be.
__attribute__((noinline)) void drive_shielded(generator_body& root, control& fiber) {
  const fiber_shield shield(&fiber);
  const position here;
  note_driver(root, here.fiber, here.side);
  switch_to(root.consumer, *root.leaf, here.side);
}

void drive(generator_body& root, position here) {
  if (here.fiber != nullptr && here.side.uncaught() != 0) return drive_shielded(root, *here.fiber);
  note_driver(root, here.fiber, here.side);
  switch_to(root.consumer, *root.leaf, here.side);
}

void take(generator_body& self) {
  if (!self.busy.exchange(true, std::memory_order_acquire)) return;  // pairs with the release of it
  throw std::logic_error(
      "weft: this generator is being resumed already: by its own body, or by another fiber");
}

void let_go(generator_core& self) noexcept { self.busy.store(false, std::memory_order_release); }

void start_or_let_go(generator_body& self) {
  try {
    start(self);
  } catch (...) {
    let_go(self);
    throw;
  }
}

[[noreturn]] __attribute__((noinline)) void refuse_yield(const generator_body& root,
                                                         const control* fiber,
                                                         const thread_side& side) {
  if (root.abandoned) throw_abandoned();
  if (!root.busy.load(std::memory_order_relaxed) || root.driver != driver_of(fiber, side))
    throw std::logic_error(
        "weft: a generator's yield was called outside its body, or by another fiber");
  throw std::logic_error(
      "weft: a generator must not yield inside with_timeout, shield, group or pin_guard of its "
      "own; end that first, or open it around the loop that consumes");
}

// See (4) and (6).
void check_place(const generator_body& root, const control* fiber, const thread_side& side) {
  const bool same = root.driver == driver_of(fiber, side) &&
                    root.busy.load(std::memory_order_relaxed) && !root.abandoned;
  if (!same ||
      (fiber != nullptr && (fiber->innermost != root.innermost || fiber->pins != root.pins)))
    refuse_yield(root, fiber, side);
}

}  // namespace

generator_core* new_generator(std::size_t callable_bytes, const generator_ops& ops,
                              const generator_options& options) {
  if (options.stack_bytes > stacks::largest)
    throw std::invalid_argument("weft: generator_options::stack_bytes is over 1 GiB");
  auto* made = ::new (::operator new(generator_core_bytes + callable_bytes)) generator_body;
  made->ops = &ops;
  made->stack_class =
      stacks::class_for(options.stack_bytes == 0 ? default_stack_bytes : options.stack_bytes);
  return made;
}

void free_generator(generator_core* core) noexcept {
  generator_body& self = body_of(*core);
  self.~generator_body();
  ::operator delete(&self);
}

void resume_generator(generator_core* core) {
  generator_body& self = body_of(*core);
  const position here;
  take(self);
  if (self.ended) return;
  if (self.on == nullptr) start_or_let_go(self);
  self.value = nullptr;
  drive(self, here);
}

void end_generator(generator_core* core) {
  generator_body& self = body_of(*core);
  finish(self);
  std::exception_ptr error = std::exchange(self.error, nullptr);
  let_go(self);
  if (error != nullptr) std::rethrow_exception(std::move(error));
}

void drop_generator(generator_core* core) noexcept {
  generator_body& self = body_of(*core);
  if (self.busy.exchange(true, std::memory_order_acquire)) {
    std::fputs("weft: a generator was destroyed while its body ran\n", stderr);
    std::abort();
  }
  if (self.on != nullptr) {
    self.abandoned = true;
    drive(self, position());
    WEFT_CHECK(self.ended);
    finish(self);
  } else if (!self.ended) {
    self.ops->drop(callable_of(core));
  }
  free_generator(core);
}

void yield_generated(generator_core& core, void* value) {
  generator_body& root = body_of(*core.root);
  const position here;
  check_place(root, here.fiber, here.side);
  root.value = value;
  switch_to(*root.leaf, root.consumer, here.side);
}

void delegate_generated(generator_core& core, generator_core* from) {
  generator_body& inner = body_of(*from);
  if (inner.value != nullptr) yield_or_unwind(core, inner.value);  // it stands there
  generator_body& root = body_of(*core.root);
  const position here;
  check_place(root, here.fiber, here.side);
  take(inner);
  if (inner.ended) return let_go(inner);
  if (inner.on == nullptr) start_or_let_go(inner);
  inner.value = nullptr;
  generator_body& waits = *root.leaf;
  for (generator_body* at = inner.leaf; at != &inner; at = at->outer) at->root = &root;
  inner.root = &root;
  inner.outer = &waits;
  root.leaf = inner.leaf;
  switch_to(waits, *root.leaf, here.side);
  inner.root = &inner;
  inner.outer = nullptr;
  finish(inner);
  std::exception_ptr error = std::exchange(inner.error, nullptr);
  let_go(inner);
  if (core.root->abandoned) throw_abandoned();  // perhaps another root than before
  if (error != nullptr) std::rethrow_exception(std::move(error));
}

void throw_abandoned() { throw generator_abandoned(); }

void throw_no_generator() {
  throw std::logic_error("weft: this handle refers to no generator (default-made or moved from)");
}

}  // namespace weft::detail
