// See park.hpp and waitable.hpp.
#include "fiber/park.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <weft/error.hpp>

#include "base/forked.hpp"
#include "base/never_destroyed.hpp"

namespace weft::detail {
namespace {

// Where a plain thread waits.
// (1) Never freed, so that a waker may still touch it after the thread has gone on; a thread takes
//     one for its life and hands it to the next.
// (2) Once it is parked and claimed it waits for resume(), as a fiber does: that the wait is won is
//     not enough, for until then the claimer's wake_batch holds the node in this thread's frame.
struct thread_parker : waitable {
  thread_parker() noexcept : waitable(true) {}

  std::mutex lock;
  std::condition_variable woken;
  bool resumed = false;  // under the lock
  thread_parker* next = nullptr;
};

struct parker_pool {
  std::mutex lock;
  thread_parker* free = nullptr;
};

parker_pool& parkers() noexcept {
  static never_destroyed<parker_pool> only;
  return only.get();
}

thread_parker* take_parker() {
  std::lock_guard<std::mutex> hold(parkers().lock);
  thread_parker* taken = parkers().free;
  if (taken == nullptr) return new thread_parker;
  parkers().free = taken->next;
  return taken;
}

void give_parker_back(void* done) noexcept {
  auto* parker = static_cast<thread_parker*>(done);
  std::lock_guard<std::mutex> hold(parkers().lock);
  parker->next = parkers().free;
  parkers().free = parker;
}

// Only plain threads come here, and they do not migrate.
thread_parker& this_threads_parker() {
  thread_slot& mine = this_threads_slot(thread_slot_use::parker);
  if (mine.value == nullptr) {
    mine.value = take_parker();
    mine.drop = give_parker_back;
  }
  return *static_cast<thread_parker*>(mine.value);
}

wake_reason park_thread(thread_parker& self, nanos deadline) noexcept {
  std::unique_lock<std::mutex> hold(self.lock);
  self.resumed = false;
  if (publish_parked(self.word, self.wait, false, [] { return false; })) {
    auto over = [&self] { return self.resumed; };
    bool timed_out = false;
    if (deadline != never) {
      const std::chrono::steady_clock::time_point when{std::chrono::nanoseconds(deadline)};
      timed_out = !self.woken.wait_until(hold, when, over) &&
                  try_claim(self, wake_reason::timed_out) != claim::lost;
    }
    if (!timed_out) self.woken.wait(hold, over);
  }
  return waitable::reason_of(self.word.load(std::memory_order_acquire));
}

}  // namespace

void resume(waitable& who) noexcept {
  if (who.is_thread) {
    auto& parker = static_cast<thread_parker&>(who);
    {
      std::lock_guard<std::mutex> hold(parker.lock);
      parker.resumed = true;
    }
    parker.woken.notify_one();  // outside, or the thread would wake only to wait for the lock
    return;
  }
  auto& fiber = static_cast<control&>(who);
  carrier* here = current_carrier();
  if (here != nullptr && &here->home == fiber.home)
    here->make_ready(fiber);
  else
    fiber.home->submit(fiber);
}

void throw_cancelled() { throw cancelled(); }

void throw_may_not_suspend(const char* what) {
  char fiber[128];
  const std::size_t length = describe_running_fiber(fiber, sizeof fiber);
  throw std::logic_error("weft: " + std::string(fiber, length) + " would park in " + what +
                         " while a no_suspend_guard lives");
}

bool may_interrupt(const control&) noexcept { return current_carrier()->uncaught() == 0; }

void deliver_cancellation(control& self) {
  if (!may_interrupt(self)) return;
  if (self.unarmed_deadlines > 0) look_at_deadlines(self);
  if (self.cancel_pending.load(std::memory_order_relaxed)) throw_cancelled();
}

parking::parking(const char* what, cancellation mode) {
  carrier* here = current_carrier();
  control* me = here == nullptr ? nullptr : here->running;
  if (me == nullptr) {
    refuse_in_forked_child();
    thread_parker& parker = this_threads_parker();
    parker.begin_wait(false);
    self_ = &parker;
    return;
  }
  if (me->suspends_forbidden > 0) throw_may_not_suspend(what);
  const bool interruptible = mode == cancellation::delivered && here->uncaught() == 0;
  if (interruptible) {
    if (me->unarmed_deadlines > 0) arm_deadlines(*me);
    if (me->cancel_pending.load(std::memory_order_relaxed)) throw_cancelled();
  }
  me->what.store(what, std::memory_order_relaxed);
  me->since.store(here->coarse_now, std::memory_order_relaxed);
  me->begin_wait(interruptible);
  self_ = me;
}

wake_reason parking::park_until(nanos deadline) noexcept {
  if (self_->is_thread) return park_thread(static_cast<thread_parker&>(*self_), deadline);
  auto& me = static_cast<control&>(*self_);
  timer alarm;
  if (deadline != never) {
    alarm.deadline = deadline;
    alarm.waiter = self_;
    current_carrier()->arm(alarm);
  }
  current_carrier()->suspend();
  me.what.store(nullptr, std::memory_order_relaxed);
  const wake_reason why = waitable::reason_of(me.word.load(std::memory_order_relaxed));
  if (deadline != never && why != wake_reason::timed_out) me.home->disarm(alarm);
  return why;
}

void parking::abandon() noexcept {
  if (!self_->is_thread)
    static_cast<control*>(self_)->what.store(nullptr, std::memory_order_relaxed);
}

}  // namespace weft::detail
