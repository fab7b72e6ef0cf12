// See scheduler.hpp.
#include "sched/scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "base/assert.hpp"
#include "base/forked.hpp"

namespace weft::detail {
namespace {

using namespace std::chrono_literals;

// A worker that has been in one fiber for two of these is stuck; stack memory that stayed unused
// for a hundred goes back to the system; after a hundred without activity the monitor sleeps too.
constexpr auto monitor_period = 10ms;
constexpr unsigned quiet_periods = 100;
constexpr unsigned trim_periods = 100;

}  // namespace

scheduler::scheduler(scheduler_config config)
    : use_calling_thread_(config.use_calling_thread),
      with_monitor_(config.monitor),
      several_cpus_(config.several_cpus),
      stack_class_(stacks::class_for(config.stack_bytes)),
      no_stack_(std::make_exception_ptr(
          std::system_error(std::make_error_code(std::errc::not_enough_memory),
                            "weft: no memory for the stack of a new fiber"))),
      idle_(config.workers) {
  handlers = std::make_shared<const failure_handlers>(std::move(config.on_failure));
  workers_.reserve(config.workers);
  for (unsigned i = 0; i < config.workers; ++i)
    workers_.push_back(
        std::make_unique<worker>(*this, i, config.make_poller(), config.workers == 1));
}

scheduler::~scheduler() {
  for (std::thread& each : threads_) WEFT_CHECK(!each.joinable());
}

void scheduler::start() {
  try {
    if (with_monitor_) {
      watched_.resize(worker_count());  // here, where a failure can be told
      monitor_ = std::thread([this] { monitor_main(); });
    }
    for (unsigned i = use_calling_thread_ ? 1 : 0; i < worker_count(); ++i)
      threads_.emplace_back([this, i] { workers_[i]->run(); });
  } catch (...) {  // no more threads: what has started must end before the exception goes on
    begin_stop();
    finished_.store(true, std::memory_order_release);
    wake_all();
    join();
    throw;
  }
}

void scheduler::run() noexcept { workers_[0]->run(); }

void scheduler::start_fiber(control& fresh) {
  carrier* here = current_carrier();
  if (here != nullptr && &here->home == this && here->running != nullptr) {
    fibers.add(fresh);
    if (stopping() && !fresh.stops_with_group) request_cancel(fresh.root);
    here->spawn(fresh);
    return;
  }
  refuse_in_forked_child();
  {
    std::lock_guard<spin_lock> hold(outside_);
    if (stopping())
      throw std::logic_error(
          "weft: this runtime has been shut down; make a new one to start fibers");
    fibers.add(fresh);
  }
  submit(fresh);
}

void scheduler::begin_stop() noexcept {
  // Against start_fiber(): it adds to the registry, then reads stopping_. Whoever is not in the
  // shard when we come to it sees stopping_ set, by the shard's lock.
  {
    std::lock_guard<spin_lock> hold(outside_);
    stopping_.store(true, std::memory_order_seq_cst);
  }
  request_cancel_all(fibers);
  fiber_ended();  // there may have been none
}

void scheduler::fiber_ended() noexcept {
  if (!stopping_.load(std::memory_order_relaxed)) return;
  if (finished() || !fibers.empty()) return;
  finished_.store(true, std::memory_order_release);  // pairs with finished() in find_work()
  wake_all();
}

void scheduler::join() {
  for (std::thread& each : threads_)
    if (each.joinable()) each.join();
  // A thread that woke the last fiber may still be on its way out of submit().
  while (submitting_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  if (!monitor_.joinable()) return;
  {
    std::lock_guard<std::mutex> hold(monitor_lock_);
    monitor_over_ = true;
  }
  monitor_wake_.notify_one();
  monitor_.join();
}

void scheduler::submit(control& ready) noexcept {
  // Once it is queued the fiber may run and end, and with it the runtime: join() waits for us.
  submitting_.fetch_add(1, std::memory_order_relaxed);
  if (ready.pinned_to != nullptr) {
    static_cast<worker*>(ready.pinned_to)->deliver(ready);
  } else {
    posts_.fetch_add(1, std::memory_order_relaxed);
    injected_.push(&ready);
    wake_one();
  }
  submitting_.fetch_sub(1, std::memory_order_release);  // pairs with join()
}

void scheduler::disarm(timer& entry) noexcept { entry.queue->disarm(entry); }

void scheduler::wake_one() noexcept {
  if (!idle_.anyone_to_wake()) return;
  carrier* here = current_carrier();
  // It decides when it knows all; and it stands among the sleepers itself.
  if (here != nullptr && &here->home == this && static_cast<worker*>(here)->gathers()) return;
  const int sleeper = idle_.pick_sleeper();
  if (sleeper >= 0) workers_[static_cast<unsigned>(sleeper)]->wake();
}

void scheduler::wake_all() noexcept {
  for (auto& each : workers_) each->wake();
}

bool scheduler::work_visible() const noexcept {
  if (injected_.size() > 0 || overflowed_.size() > 0) return true;
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& each) { return each->has_work_to_share(); });
}

// ---- the monitor: what is due on a worker that is stuck in user code is done here

void scheduler::monitor_main() noexcept {
  unsigned quiet = 0;
  unsigned since_trim = 0;
  std::unique_lock<std::mutex> hold(monitor_lock_);
  while (!monitor_over_) {
    if (quiet >= quiet_periods) {
      monitor_asleep_.store(true, std::memory_order_relaxed);
      monitor_wake_.wait(hold);
      monitor_asleep_.store(false, std::memory_order_relaxed);
      quiet = 0;
      continue;
    }
    monitor_wake_.wait_for(hold, monitor_period);
    if (monitor_over_) return;
    hold.unlock();
    bool any_in_fiber = false;
    for (unsigned i = 0; i < worker_count(); ++i) {
      worker& each = *workers_[i];
      const std::uint64_t now = each.progress();
      const bool busy = each.in_fiber();
      any_in_fiber = any_in_fiber || busy;
      watched& last = watched_[i];
      last.stuck_for = busy && now == last.progress ? last.stuck_for + 1 : 0;
      last.progress = now;
      if (last.stuck_for >= 2) each.rescue();
      // It may have judged wrongly, see share_backlog().
      if (busy && each.queued() + overflowed_.size() > 1) wake_one();
    }
    const bool active = active_.exchange(false, std::memory_order_relaxed) || any_in_fiber;
    quiet = active ? 0 : quiet + 1;
    if (++since_trim >= trim_periods) {
      since_trim = 0;
      stacks::trim();
    }
    hold.lock();
  }
}

void scheduler::wake_monitor() noexcept {
  std::lock_guard<std::mutex> hold(monitor_lock_);
  monitor_wake_.notify_one();
}

}  // namespace weft::detail
