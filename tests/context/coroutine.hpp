// A function on a stack of its own that whoever runs it can leave and resume, on any thread: the
// smallest thing that uses lib/context. Tests of that layer use it, and the model checker.
#pragma once
#include <functional>
#include <utility>

#include "base/assert.hpp"
#include "context/stack.hpp"
#include "context/switch.hpp"

namespace weft::detail {

class coroutine;

// A thread that runs coroutines; make it on that thread.
struct host : thread_side {
  context main;
  coroutine* running = nullptr;
};

class coroutine {
 public:
  explicit coroutine(std::function<void(coroutine&)> body, std::size_t stack_bytes = 128 * 1024)
      : body_(std::move(body)), stack_(stacks::acquire(stacks::class_for(stack_bytes))) {
    WEFT_CHECK(stack_ != nullptr);
    make_context(where, *stack_, &coroutine::enter);
  }
  coroutine(const coroutine&) = delete;
  coroutine& operator=(const coroutine&) = delete;
  ~coroutine() {
    WEFT_CHECK(done_ || !started_);
    stacks::release(stack_);
  }

  // Returns when it yields or ends.
  void resume(host& on) {
    WEFT_CHECK(!done_);
    on.running = this;
    on_ = &on;
    switch_to(on.main, where, on);
    on.running = nullptr;
  }

  // Inside: back to whoever resumed it.
  void yield() { switch_to(where, on_->main, *on_); }

  // Inside: leaves for another one without a stop at the host.
  void yield_to(coroutine& next) {
    host& on = *on_;
    next.on_ = &on;
    on.running = &next;
    switch_to(where, next.where, on);
  }

  bool done() const { return done_; }
  stack& on_stack() { return *stack_; }
  host& on() { return *on_; }

  context where;

 private:
  static departure enter(thread_side& entered) {
    coroutine& self = *static_cast<host&>(entered).running;
    self.started_ = true;
    self.body_(self);
    self.done_ = true;
    return {&self.on_->main, self.on_};
  }

  std::function<void(coroutine&)> body_;
  stack* stack_;
  host* on_ = nullptr;
  bool started_ = false;
  bool done_ = false;
};

}  // namespace weft::detail
