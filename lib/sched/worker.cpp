// The running half of a worker: switching, queues, stacks. The other half, finding work and
// sleeping, is worker_idle.cpp. See worker.hpp for the rules.
#include "sched/worker.hpp"

#include <mutex>

#include "sched/scheduler.hpp"

namespace weft::detail {
namespace {
constexpr unsigned run_next_limit = 16;    // hand-overs in a row before the queue gets a turn
constexpr unsigned fresh_first_every = 8;  // picks between two that prefer the fresh to the ready
constexpr std::size_t shared_batch = 128;
}  // namespace

worker::worker(scheduler& of, unsigned index, std::unique_ptr<poller> with, bool alone)
    : carrier(of),
      home_(of),
      index_(index),
      alone_(alone),
      poller_(std::move(with)),
      random_(index * 2 + 1),
      stacks_(of.stack_class()) {
  shard = static_cast<std::uint16_t>(index % registry::shard_count);
}

// ---- switching

void worker::suspend() noexcept {
  control& self = *running;
  if (self.undecided()) leave(self, after::parked);
}

void worker::yield() noexcept { leave(*running, after::yielded); }

void worker::leave(control& self, after what) noexcept {
  control* next = next_runnable();
  if (next == nullptr && what == after::yielded && stackless_ == nullptr && tick_ != 0) return;
  left_ = &self;
  left_how_ = what;
  running = next;
  worker_counters::bump(counters_.switches);
  thread_side* woke = switch_to(self.where, next == nullptr ? main_ : next->where, *this);
  static_cast<worker*>(woke)->arrived();
}

void worker::arrived() noexcept {
  const after what = left_how_;
  left_how_ = after::nothing;
  if (what == after::parked) {
    control& fiber = *left_;
    const bool parked = publish_parked(fiber.word, fiber.wait, fiber.wants_interruption, [&fiber] {
      return fiber.cancel_pending.load(std::memory_order_relaxed);
    });
    if (!parked) make_ready(fiber);  // the wait was decided while it was leaving
  } else if (what == after::yielded) {
    control& fiber = *left_;
    if (fiber.pinned_to != nullptr)
      pinned_.push(&fiber);
    else
      enqueue_ready(fiber);
  } else if (what == after::ended) {
    stacks_.put(left_stack_);
  }
}

departure worker::fiber_main(thread_side& entered) {
  static_cast<worker&>(entered).arrived();
  for (;;) {
    auto* here = static_cast<worker*>(current_carrier());
    control& self = *here->running;
    stack* on = self.on;
    run_to_end(self);  // self may be gone, and we may be on another worker
    here = static_cast<worker*>(current_carrier());
    here->running = nullptr;
    control* next = nullptr;
    if (!here->poll_due()) next = here->pick();
    if (next != nullptr && next->on == nullptr && next->stack_class == on->size_class) {
      next->on = on;
      adopt_context(next->where, *on);
      here->running = next;
      worker_counters::bump(here->counters_.switches);
      continue;
    }
    if (next != nullptr && next->on == nullptr && !here->bind_stack(*next)) {
      here->stackless_ = next;
      next = nullptr;
    }
    here->left_how_ = after::ended;
    here->left_stack_ = on;
    here->running = next;
    worker_counters::bump(here->counters_.switches);
    return {next == nullptr ? &here->main_ : &next->where, here};
  }
}

void worker::resume_from_main(control& next) noexcept {
  if (next.on == nullptr && !bind_stack(next)) {
    end_unstarted(next, home_.no_stack());
    return;
  }
  running = &next;
  in_fiber_.store(true, std::memory_order_relaxed);
  worker_counters::bump(counters_.switches);
  switch_to(main_, next.where, *this);
  in_fiber_.store(false, std::memory_order_relaxed);
  running = nullptr;
  arrived();
}

// ---- queues

// The next fiber with a stack to run on; null if main_ has to look.
control* worker::next_runnable() noexcept {
  if (poll_due()) return nullptr;
  control* next = pick();
  if (next == nullptr || next->on != nullptr || bind_stack(*next)) return next;
  stackless_ = next;
  return nullptr;
}

control* worker::pick() noexcept {
  if (run_next_.load(std::memory_order_relaxed) != nullptr)
    if (control* next = take_run_next()) return next;
  run_next_streak_ = 0;
  const bool others = !pinned_.empty() || inbox_filled_.load(std::memory_order_acquire);
  // What has begun comes before what has not, so that a flood of new work delays nobody for long.
  if (!others && tick_ % fresh_first_every != 0)
    if (control* next = pop_ready()) return next;
  return pick_queued();
}

control* worker::take_run_next() noexcept {
  control* next = run_next_.load(std::memory_order_relaxed);
  if (alone_)
    run_next_.store(nullptr, std::memory_order_relaxed);
  else
    next = run_next_.exchange(nullptr, std::memory_order_acq_rel);  // the monitor may be faster
  if (next == nullptr || ++run_next_streak_ <= run_next_limit) return next;
  enqueue_ready(*next);
  return nullptr;
}

control* worker::pick_queued() noexcept {
  if (!pinned_.empty() || inbox_filled_.load(std::memory_order_acquire)) {
    drain_inbox();
    // Every other pick, so that neither kind starves the other.
    if ((tick_ & 1) != 0 || !has_work_to_share())
      if (control* next = pinned_.pop()) return next;
  }
  const bool ready_first = tick_ % fresh_first_every != 0;
  control* next = ready_first ? next_ready() : next_fresh();
  if (next == nullptr) next = ready_first ? next_fresh() : next_ready();
  return next;
}

control* worker::next_ready() noexcept {
  if (control* next = pop_ready()) return next;
  return take_from(home_.overflowed(), shared_batch);
}

control* worker::next_fresh() noexcept {
  if (control* next = pop_fresh()) return next;
  if (backlog_.empty()) return nullptr;
  return adopt_fresh(backlog_.take_newest());
}

// Puts a batch into the empty deque; returns its newest.
control* worker::adopt_fresh(batch<control> oldest_first) noexcept {
  while (control* item = oldest_first.pop()) keep_fresh(*item);
  return pop_fresh();
}

void worker::keep_fresh(control& fresh) noexcept {
  if (!push_fresh(fresh)) overflow_fresh(fresh);
}

__attribute__((noinline)) void worker::overflow_fresh(control& fresh) noexcept {
  do backlog_.push(fresh_.take_half());
  while (!push_fresh(fresh));
}

void worker::make_ready(control& claimed) noexcept {
  if (claimed.pinned_to != nullptr) {
    if (claimed.pinned_to == this)
      pinned_.push(&claimed);
    else
      static_cast<worker*>(claimed.pinned_to)->deliver(claimed);
    return;
  }
  if (running == nullptr) {  // from the poller or a timer: all get their turn in order
    if (home_.overflowed().size() > 0 || !push_ready(claimed)) home_.overflowed().push(&claimed);
    if (!alone_ && ready_.size() > 1) home_.wake_one();
    return;
  }
  control* before = run_next_.load(std::memory_order_relaxed);
  if (before != nullptr && !alone_) before = run_next_.exchange(nullptr, std::memory_order_acq_rel);
  run_next_.store(&claimed, std::memory_order_release);  // pairs with rescue()
  if (before != nullptr) enqueue_ready(*before);
}

void worker::enqueue_ready(control& item) noexcept {
  if (!push_ready(item)) overflow_ready(item);
  if (!alone_ && ready_.size() > 1) home_.wake_one();
}

// Apart from the way that is usual, since a batch takes a kilobyte of the stack.
__attribute__((noinline)) void worker::overflow_ready(control& item) noexcept {
  do home_.overflowed().push(ready_.take_half());
  while (!push_ready(item));
}

void worker::spawn(control& fresh) noexcept {
  keep_fresh(fresh);
  if (!alone_ && fresh_.size() > 1) home_.wake_one();
}

void worker::deliver(control& pinned) noexcept {
  {
    std::lock_guard<spin_lock> hold(inbox_lock_);
    inbox_.push(&pinned);
    inbox_filled_.store(true, std::memory_order_seq_cst);  // before the look whether we sleep
  }
  wake();
}

void worker::drain_inbox() noexcept {
  if (!inbox_filled_.load(std::memory_order_acquire)) return;
  std::lock_guard<spin_lock> hold(inbox_lock_);
  pinned_.append(inbox_);
  inbox_filled_.store(false, std::memory_order_relaxed);
}

void worker::arm(timer& entry) noexcept { timers_.add(entry); }

// ---- stacks

bool worker::bind_stack(control& fresh) noexcept {
  stack* got = stacks_.take(fresh.stack_class);
  if (got == nullptr) return false;
  fresh.on = got;
  make_context(fresh.where, *got, &worker::fiber_main);
  return true;
}

}  // namespace weft::detail
