// A worker: an OS thread that runs fibers, with its queues, timers and poller.
// Its own thread calls everything but what says "any thread".
//
// (1) A fiber is published (parked, queued, or its stack reused) only by arrived(), on the context
//     that runs next: never while anyone still stands on its stack.
// (2) Fibers switch directly to the next fiber. The thread's own context, main_, runs when there is
//     no next one, and every ~64 switches: it polls, steals and sleeps, and libuv's callbacks run
//     on its large stack.
// (3) A fiber that ends takes the next unstarted one onto its own stack, without a switch.
// (4) A woken fiber goes to the run-next slot, so that a hand-over stays on this core; after
//     run_next_limit in a row it has to queue. Thieves leave the slot alone; only the monitor takes
//     it, from a worker that is stuck. So only its worker fills the slot, and one that stands empty
//     needs no exchange.
// (5) One queued fiber is not worth waking a core that sleeps, two are; but what a poll and its
//     timers bring only if it will keep this worker busy for a while, see share_backlog(). Where
//     that was wrong, and the worker has not come back within the monitor's period, the monitor
//     wakes a thief.
// (6) What has begun comes before what is fresh, of that the newest first, so that a tree of fibers
//     is worked off depth first. For fairness one pick in eight prefers the fresh, and now and then
//     comes the oldest of them.
// (7) The only worker of a runtime has no thieves: nobody else touches its queues and its slot,
//     and it needs no locked instruction for them.
#pragma once
#include <atomic>
#include <memory>

#include "context/stack_cache.hpp"
#include "fiber/control.hpp"
#include "sched/backlog.hpp"
#include "sched/injector.hpp"
#include "sched/poller.hpp"
#include "sched/run_queue.hpp"
#include "sched/timer_queue.hpp"

namespace weft::detail {

class scheduler;

struct worker_counters {
  std::atomic<std::uint64_t> switches{0};
  std::atomic<std::uint64_t> steals{0};
  std::atomic<std::uint64_t> polls{0};
  std::atomic<std::uint64_t> sleeps{0};

  // One writer, so no locked instruction is needed.
  static void bump(std::atomic<std::uint64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

class worker final : public carrier {
 public:
  worker(scheduler& of, unsigned index, std::unique_ptr<poller> with, bool alone);

  // The life of the worker's thread: returns when the scheduler has finished.
  void run() noexcept;

  void suspend() noexcept override;
  void make_ready(control& claimed) noexcept override;
  void spawn(control& fresh) noexcept override;
  void arm(timer& entry) noexcept override;
  nanos now() noexcept override { return poller_->now(); }

  void yield() noexcept;

  // Any thread.
  void wake() noexcept { poller_->wake(); }
  void deliver(control& pinned) noexcept;  // a fiber pinned to this worker, made ready elsewhere
  // What thieves may take: all but the slot and what is pinned.
  std::size_t queued() const noexcept { return ready_.size() + fresh_.size() + backlog_.size(); }
  bool has_work_to_share() const noexcept { return queued() > 0; }
  bool gathers() const noexcept { return gathering_; }  // by itself
  poller& loop() noexcept { return *poller_; }
  unsigned index() const noexcept { return index_; }

  // Monitor: takes over for a worker that has been in one fiber since `switches` last changed.
  std::uint64_t progress() const noexcept {
    return counters_.switches.load(std::memory_order_relaxed);
  }
  bool in_fiber() const noexcept { return in_fiber_.load(std::memory_order_relaxed); }
  void rescue() noexcept;

  const worker_counters& counters() const noexcept { return counters_; }
  std::size_t timer_count() const noexcept { return timers_.size(); }

 private:
  enum class after : std::uint8_t { nothing, parked, yielded, ended };

  static departure fiber_main(thread_side& entered);

  void arrived() noexcept;
  void leave(control& self, after what) noexcept;
  control* next_runnable() noexcept;
  control* pick() noexcept;
  control* pick_queued() noexcept;
  control* take_run_next() noexcept;
  bool push_ready(control& item) noexcept {
    return alone_ ? ready_.push<std::memory_order_relaxed>(&item) : ready_.push(&item);
  }
  bool push_fresh(control& item) noexcept {
    return alone_ ? fresh_.push<std::memory_order_relaxed>(&item) : fresh_.push(&item);
  }
  control* pop_ready() noexcept { return alone_ ? ready_.pop_unshared() : ready_.pop(); }
  control* pop_fresh() noexcept { return alone_ ? fresh_.pop_unshared() : fresh_.pop(); }
  control* next_ready() noexcept;
  control* next_fresh() noexcept;
  control* adopt_fresh(batch<control> oldest_first) noexcept;
  void keep_fresh(control& fresh) noexcept;
  void overflow_fresh(control& fresh) noexcept;
  bool bind_stack(control& fresh) noexcept;

  void resume_from_main(control& next) noexcept;
  control* find_work() noexcept;
  control* look() noexcept;
  control* look_at_clock() noexcept;
  control* take_shared() noexcept;
  control* take_oldest_fresh(nanos now) noexcept;
  std::size_t share_of(const injector<control>& queue) noexcept;
  control* take_from(injector<control>& queue, std::size_t most) noexcept;
  control* search() noexcept;
  control* rest_after_theft() noexcept;
  control* linger() noexcept;
  control* steal_from(worker& victim) noexcept;
  void found_work() noexcept;
  void sleep() noexcept;
  void poll_now() noexcept;
  void gather(nanos until) noexcept;
  void share_backlog() noexcept;
  // Counts a switch; true when the clock is to say whether the poller is due.
  bool poll_due() noexcept {
    if (++tick_ < ticks_per_look_) return false;
    tick_ = 0;
    return true;
  }
  void expire_timers() noexcept;
  nanos next_alarm() noexcept;
  void enqueue_ready(control& item) noexcept;
  void overflow_ready(control& item) noexcept;
  void drain_inbox() noexcept;
  bool anything_to_do() noexcept;

  scheduler& home_;
  const unsigned index_;
  const bool alone_;
  std::unique_ptr<poller> poller_;
  context main_;

  // What arrived() has to finish for the context that was left.
  control* left_ = nullptr;
  stack* left_stack_ = nullptr;
  after left_how_ = after::nothing;

  control* stackless_ = nullptr;  // picked, but there was no stack for it: main_ decides
  unsigned run_next_streak_ = 0;
  unsigned tick_ = 0;
  unsigned ticks_per_look_ = 64;
  nanos last_poll_ = 0;
  std::uint64_t switches_then_ = 0;   // at the last poll
  nanos usual_run_ = 1'000'000;       // of a fiber, between two switches
  std::uint64_t posts_then_ = 0;      // when it last thought of lingering
  unsigned lingered_in_vain_ = 0;     // times in a row
  unsigned posts_to_sleep_over_ = 0;  // before it lingers again
  nanos stole_at_ = 0;                // 0: it has searched since
  unsigned thefts_in_vain_ = 0;       // times in a row
  bool gathering_ = false;
  nanos last_oldest_ = 0;
  bool searching_ = false;
  bool new_work_first_ = false;
  std::uint32_t random_;

  stack_cache stacks_;

  intrusive_queue<control> pinned_;

  // Others write this.
  alignas(64) spin_lock inbox_lock_;
  intrusive_queue<control> inbox_;
  std::atomic<bool> inbox_filled_{false};

  alignas(64) std::atomic<control*> run_next_{nullptr};
  std::atomic<bool> in_fiber_{false};
  ready_ring<control> ready_;
  fresh_deque<control> fresh_;
  backlog<control> backlog_;  // what is older than all in fresh_
  alignas(64) timer_queue timers_;
  alignas(64) worker_counters counters_;
};

}  // namespace weft::detail
