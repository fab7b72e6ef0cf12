// All workers of one runtime, and what they share: injector, idle set, monitor, shutdown.
//
// (1) Shutdown: begin_stop() cancels every live fiber and makes later ones start cancelled. When
//     the registry is empty after that, it stays empty; the scheduler is finished, the workers
//     leave their loops, and only then pollers are closed. Plain threads cannot add fibers after
//     begin_stop(), so "empty" is final.
// (2) Workers are all constructed before any thread starts, and destroyed after all have ended.
// (3) A thread that is not ours may still be waking a worker when the fiber that it submitted has
//     ended, and with it everything: join() waits until such threads are out.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sched/idle.hpp"
#include "sched/injector.hpp"
#include "sched/worker.hpp"

namespace weft {
class runtime;
}

namespace weft::detail {

class thread_pool;

struct scheduler_config {
  unsigned workers = 1;
  bool several_cpus = false;  // threads run side by side, so a worker may linger
  std::size_t stack_bytes = 256 * 1024;
  bool use_calling_thread = true;  // as worker 0, in run()
  bool monitor = true;
  failure_handlers on_failure;
  std::function<std::unique_ptr<poller>()> make_poller;
};

class scheduler final : public fiber_home {
 public:
  explicit scheduler(scheduler_config config);
  ~scheduler();

  // Starts the threads. With use_calling_thread, run() must follow.
  void start();
  // Worker 0 on the calling thread; returns when finished.
  void run() noexcept;
  // Cancels what lives and lets the workers end when it is gone. Any thread, any number of times.
  void begin_stop() noexcept;
  // Waits until all threads of ours have ended. Not from a worker.
  void join();

  // Registers and queues a new fiber. Throws std::logic_error if it comes from outside after
  // begin_stop(): only fibers may still start fibers then.
  void start_fiber(control& fresh);

  void submit(control& ready) noexcept override;
  void fiber_ended() noexcept override;
  void disarm(timer& entry) noexcept override;

  bool stopping() const noexcept override { return stopping_.load(std::memory_order_seq_cst); }
  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }

  void wake_one() noexcept;
  void wake_all() noexcept;
  bool work_visible() const noexcept;

  unsigned worker_count() const noexcept { return static_cast<unsigned>(workers_.size()); }
  worker& at(unsigned index) noexcept { return *workers_[index]; }
  idle_set& idle() noexcept { return idle_; }
  // What has begun and no longer fits a worker's ring; and what comes from outside. Apart, so that
  // a flood from outside does not stand before those that were woken.
  injector<control>& overflowed() noexcept { return overflowed_; }
  injector<control>& injected() noexcept { return injected_; }
  std::uint8_t stack_class() const noexcept { return stack_class_; }
  // What a fiber ends with for which there is no stack.
  const std::exception_ptr& no_stack() const noexcept { return no_stack_; }

  // How many fibers were made ready by threads that are not ours.
  std::uint64_t posts() const noexcept { return posts_.load(std::memory_order_relaxed); }
  bool several_cpus() const noexcept { return several_cpus_; }
  // One worker at a time lingers, and none where it would keep the others from running.
  bool try_linger() noexcept {
    return several_cpus_ && !lingers_.load(std::memory_order_relaxed) &&
           !lingers_.exchange(true, std::memory_order_relaxed);
  }
  void stop_lingering() noexcept { lingers_.store(false, std::memory_order_relaxed); }

  // A worker was busy just now: the monitor should be awake. Cheap when it is.
  void note_activity() noexcept {
    if (!active_.load(std::memory_order_relaxed)) active_.store(true, std::memory_order_relaxed);
    if (monitor_asleep_.load(std::memory_order_relaxed)) wake_monitor();
  }

  // Set once by the runtime, for the layers above; the scheduler does not use them.
  thread_pool* pool = nullptr;   // for blocking()
  thread_pool* names = nullptr;  // for resolve()
  runtime* owner = nullptr;

 private:
  void monitor_main() noexcept;
  void wake_monitor() noexcept;

  const bool use_calling_thread_;
  const bool with_monitor_;
  const bool several_cpus_;
  const std::uint8_t stack_class_;
  const std::exception_ptr no_stack_;  // made beforehand: when it is needed there is no memory
  idle_set idle_;
  // Each on lines of its own: what workers write at every batch, what all read, what threads from
  // outside write.
  alignas(64) injector<control> overflowed_;
  alignas(64) injector<control> injected_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;

  alignas(64) std::atomic<bool> stopping_{false};  // seq_cst, see begin_stop()
  std::atomic<bool> finished_{false};
  alignas(64) std::atomic<unsigned> submitting_{0};  // threads in submit(); join() waits for them
  std::atomic<std::uint64_t> posts_{0};
  std::atomic<bool> lingers_{false};
  spin_lock outside_;  // starts from outside against stopping_

  struct watched {
    std::uint64_t progress = 0;
    unsigned stuck_for = 0;
  };
  std::vector<watched> watched_;  // the monitor's own

  std::thread monitor_;
  std::mutex monitor_lock_;
  std::condition_variable monitor_wake_;
  std::atomic<bool> monitor_asleep_{false};
  std::atomic<bool> active_{false};
  bool monitor_over_ = false;  // guarded by monitor_lock_
};

}  // namespace weft::detail
