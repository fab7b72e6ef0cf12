// One libuv loop, the poller of one worker.
// Its worker polls; fibers and other threads reach the loop through execute().
//
// (1) libuv is entered only with access_ held: by the owner while it polls (also while it sleeps in
//     there), by a fiber for one call, by the monitor for a stuck owner. Only wake() does without.
// (2) Who cannot get access at once posts a task and wakes the loop; posted tasks run in order, and
//     before any task that gets access directly. So two tasks of one object never overtake each
//     other.
// (3) A libuv callback runs under access_ and never parks, never calls execute() of its own loop.
// (4) A handle's memory lives until its close callback. At the end of the loop every watch that is
//     left is detached first, then the loop runs dry, so uv_loop_close() cannot say EBUSY.
// (5) Deadlines: a timerfd (nanoseconds) in the loop, set only when the next deadline changed;
//     where there is none, one uv_timer, rounded up to milliseconds.
// (6) wake() writes to an eventfd that is watched for edges, so that nobody has to read it. Only
//     who sets told_to_wake_ writes; poll() does not sleep if it finds it set, and clears it last.
// (7) What a watch posts may come from any thread, also while the loop ends. Under the watch's
// lock,
//     where it still knows the loop, the sender announces itself; the destructor holds access and
//     waits until all who announced themselves have posted, and runs that. A watch that still knows
//     the loop has a handle in it, or a task that is announced or posted; so nobody is left then.
// Rejected: uv_async, which reads its eventfd each time and waits, spinning, for its senders.
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

  // The same in two steps, for who does not know that the loop outlives the call, see (7).
  void announce() noexcept { announced_.fetch_add(1, std::memory_order_relaxed); }
  void execute_announced(task& what) noexcept {
    execute(what);
    announced_.fetch_sub(1, std::memory_order_release);  // pairs with detach_watches()
  }

  // The loop of the worker the calling fiber is on. It may be used after a migration, but is then
  // another worker's.
  static loop& current();

  // Only with access.
  uv_loop_t* uv() noexcept { return &uv_; }
  intrusive_list<watch>& watches() noexcept { return watches_; }
  poll_set& descriptors() noexcept { return *descriptors_; }
  bool ends() const noexcept { return ends_; }
  void note_busy(int change) noexcept { busy_.fetch_add(change, std::memory_order_relaxed); }

 private:
  void run_posted() noexcept;
  void detach_watches() noexcept;
  void set_alarm(nanos deadline) noexcept;
  bool told_to_wake() const noexcept;
  void forget_wake_ups() noexcept;
  void open_handles();
  void close_handles() noexcept;
#ifdef __linux__
  void open_handle(uv_poll_t& handle, int& place, int fd, uv_poll_cb on_event);
#endif

  std::mutex access_;
  uv_loop_t uv_;
  nanos alarm_at_ = never;
#ifdef __linux__
  std::atomic<bool> told_to_wake_{false};
  int wake_fd_ = -1;
  uv_poll_t wake_up_;
  int alarm_fd_ = -1;
  uv_poll_t alarm_;
#else
  bool has_wake_up_ = false;
  uv_async_t wake_up_;
  uv_timer_t alarm_;
#endif
  spin_lock posted_lock_;
  intrusive_queue<task> posted_;
  std::atomic<bool> any_posted_{false};
  std::atomic<int> announced_{0};
  bool ends_ = false;
  std::atomic<int> busy_{0};  // watches that are armed and requests under way
  intrusive_list<watch> watches_;
  std::unique_ptr<poll_set> descriptors_;
};

}  // namespace weft::detail
