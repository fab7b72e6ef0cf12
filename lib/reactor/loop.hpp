// One libuv loop, the poller of one worker.
// Its worker polls; fibers and other threads reach the loop through execute().
//
// (1) libuv is entered only with access_ held: by the owner while it polls (also while it sleeps in
//     there), by a fiber for one call, by the monitor for a stuck owner. Only uv_async_send is
//     called without it.
// (2) Who cannot get access at once posts a task and wakes the loop; posted tasks run in order, and
//     before any task that gets access directly. So two tasks of one object never overtake each
//     other.
// (3) A libuv callback runs under access_ and never parks, never calls execute() of its own loop.
// (4) A handle's memory lives until its close callback. At the end of the loop every watch that is
//     left is detached first, then the loop runs dry, so uv_loop_close() cannot say EBUSY.
// (5) Deadlines: a timerfd (nanoseconds) in the loop, set only when the next deadline changed;
//     where there is none, one uv_timer, rounded up to milliseconds.
#pragma once
#include <uv.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "sched/poller.hpp"

namespace weft::detail {

class watch;
class poll_set;

enum class direction : unsigned { read = 0, write = 1 };

class loop final : public poller {
 public:
  // Embedded in what it concerns; on at most one list at a time.
  struct task {
    task* next = nullptr;
    void (*run)(task& self, loop& on) noexcept = nullptr;
  };

  loop();  // throws std::system_error: no descriptors left
  ~loop() override;

  void poll(nanos until) noexcept override;
  void wake() noexcept override;
  bool poll_for_owner() noexcept override;
  nanos now() noexcept override { return steady_now(); }

  // Runs the task with exclusive access to uv(): before it returns if nobody else has access,
  // otherwise soon. Any thread.
  void execute(task& what) noexcept;

  // The loop of the worker the calling fiber is on. It may be used after a migration, but is then
  // another worker's.
  static loop& current();

  // Only with access.
  uv_loop_t* uv() noexcept { return &uv_; }
  intrusive_list<watch>& watches() noexcept { return watches_; }
  poll_set& descriptors() noexcept { return *descriptors_; }
  void note_busy(int change) noexcept { busy_.fetch_add(change, std::memory_order_relaxed); }

 private:
  void run_posted() noexcept;
  void set_alarm(nanos deadline) noexcept;
  void open_alarm();

  std::mutex access_;
  uv_loop_t uv_;
  uv_async_t wake_up_;
  nanos alarm_at_ = never;
#ifdef __linux__
  int alarm_fd_ = -1;
  uv_poll_t alarm_;
#else
  uv_timer_t alarm_;
#endif
  spin_lock posted_lock_;
  intrusive_queue<task> posted_;
  std::atomic<bool> any_posted_{false};
  std::atomic<int> busy_{0};  // watches that are armed and requests under way
  intrusive_list<watch> watches_;
  std::unique_ptr<poll_set> descriptors_;
};

}  // namespace weft::detail
