// See timer_queue.hpp.
#include "sched/timer_queue.hpp"

#include <array>
#include <mutex>
#include <thread>

#include "base/assert.hpp"
#include "fiber/scope.hpp"
#include "fiber/waitable.hpp"

namespace weft::detail {
namespace {
constexpr std::size_t fan_out = 4;
constexpr std::size_t batch = 64;  // fired between two turns of the lock
}  // namespace

void timer_queue::place(std::size_t at, entry item) noexcept {
  heap_[at] = item;
  item.what->place = at;
}

void timer_queue::sift_up(std::size_t at, entry item) noexcept {
  while (at > 0) {
    const std::size_t parent = (at - 1) / fan_out;
    if (heap_[parent].deadline <= item.deadline) break;
    place(at, heap_[parent]);
    at = parent;
  }
  place(at, item);
}

void timer_queue::sift_down(std::size_t at, entry item) noexcept {
  for (;;) {
    const std::size_t first = at * fan_out + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = first + fan_out < heap_.size() ? first + fan_out : heap_.size();
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child)
      if (heap_[child].deadline < heap_[least].deadline) least = child;
    if (heap_[least].deadline >= item.deadline) break;
    place(at, heap_[least]);
    at = least;
  }
  place(at, item);
}

void timer_queue::take_out(std::size_t at) noexcept {
  const entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && heap_[(at - 1) / fan_out].deadline > last.deadline)
    sift_up(at, last);
  else
    sift_down(at, last);
}

void timer_queue::publish() noexcept {
  earliest_.store(heap_.empty() ? never : heap_.front().deadline, std::memory_order_release);
  count_.store(heap_.size(), std::memory_order_relaxed);
}

void timer_queue::add(timer& item) {
  std::lock_guard<spin_lock> hold(lock_);
  heap_.push_back({});
  item.queue = this;
  item.state.store(timer::phase::armed, std::memory_order_relaxed);
  sift_up(heap_.size() - 1, {item.deadline, &item});
  publish();
}

void timer_queue::disarm(timer& item) noexcept {
  for (;;) {
    {
      std::lock_guard<spin_lock> hold(lock_);
      const timer::phase state = item.state.load(std::memory_order_acquire);
      if (state == timer::phase::armed) {
        WEFT_ASSERT(heap_[item.place].what == &item);
        take_out(item.place);
        publish();
        item.state.store(timer::phase::idle, std::memory_order_relaxed);
        return;
      }
      if (state == timer::phase::idle) return;
    }
    std::this_thread::yield();  // firing on another thread: until its store below
  }
}

std::size_t timer_queue::expire(nanos now) noexcept {
  std::size_t fired = 0;
  while (size() > 0 && earliest() <= now) {
    std::array<waitable*, batch> wakes;
    std::size_t wake_count = 0;
    timer* scopes = nullptr;
    {
      std::lock_guard<spin_lock> hold(lock_);
      while (wake_count < batch && !heap_.empty() && heap_.front().deadline <= now) {
        timer& due = *heap_.front().what;
        take_out(0);
        ++fired;
        if (due.scope != nullptr) {
          due.state.store(timer::phase::firing, std::memory_order_relaxed);
          due.next = scopes;
          scopes = &due;
          continue;
        }
        waitable& who = *due.waiter;
        due.state.store(timer::phase::idle, std::memory_order_relaxed);
        if (try_claim(who, wake_reason::timed_out) == claim::must_resume)
          wakes[wake_count++] = &who;
      }
      publish();
    }
    for (std::size_t i = 0; i < wake_count; ++i) resume(*wakes[i]);
    while (scopes != nullptr) {
      timer& due = *scopes;
      scopes = due.next;
      request_cancel(*due.scope);
      due.state.store(timer::phase::idle, std::memory_order_release);  // pairs with disarm()
    }
  }
  return fired;
}

}  // namespace weft::detail
