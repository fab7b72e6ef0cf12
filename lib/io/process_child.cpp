// See process_child.hpp.
#include "io/process_child.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>
#include <weft/error.hpp>

#include "base/forked.hpp"
#include "base/never_destroyed.hpp"
#include "fiber/shield.hpp"
#include "io/budget.hpp"
#include "reactor/poll_set.hpp"

namespace weft::detail {
namespace {

// Between two looks whether it has ended, where nothing tells.
constexpr nanos first_pause = 200'000;
constexpr nanos longest_pause = 20'000'000;

// Linux 5.3 and 5.4; newer than some C libraries.
constexpr long pidfd_open_call = 434;
constexpr long pidfd_send_signal_call = 424;
constexpr auto by_pidfd = static_cast<idtype_t>(3);

__attribute__((noinline)) int open_pidfd(pid_t pid) noexcept {
  return static_cast<int>(syscall(pidfd_open_call, pid, 0));
}

__attribute__((noinline)) int send_by_pidfd(int pidfd, int signal) noexcept {
  return syscall(pidfd_send_signal_call, pidfd, signal, nullptr, 0) == 0 ? 0 : -errno;
}

__attribute__((noinline)) int send_by_number(pid_t to, int signal) noexcept {
  return ::kill(to, signal) == 0 ? 0 : -errno;
}

__attribute__((noinline)) int wait_for(int pidfd, pid_t pid, int flags, siginfo_t& out) noexcept {
  for (;;) {
    const int got = pidfd >= 0 ? waitid(by_pidfd, static_cast<id_t>(pidfd), &out, flags)
                               : waitid(P_PID, static_cast<id_t>(pid), &out, flags);
    if (got == 0) return 0;
    const int error = errno;
    if (error != EINTR) return -error;
  }
}

// Pauses that get longer.
class patience {
 public:
  explicit patience(nanos until = never) noexcept : until_(until) {}

  // False if the time is over.
  bool pause(cancellation mode) {
    const nanos now = steady_now();
    if (now >= until_) return false;
    parking wait("process", mode);
    if (wait.park_until(std::min(until_, now + next_)) == wake_reason::cancelled) throw_cancelled();
    next_ = std::min(2 * next_, longest_pause);
    return true;
  }

 private:
  const nanos until_;
  nanos next_ = first_pause;
};

}  // namespace

std::atomic<bool> child::without_pidfds{false};

void child::started(pid_t pid) noexcept {
  pid_ = pid;
  if (without_pidfds.load(std::memory_order_relaxed)) return;
  pidfd_ = unique_fd(open_pidfd(pid));
}

// Under the lock. Whether it has ended; `flags` say whether to reap it then.
bool child::look(int flags) noexcept {
  if (reaped_) return true;
  siginfo_t info{};
  const int error = wait_for(pidfd_.get(), pid_, WEXITED | WNOHANG | flags, info);
  if (error == 0 && info.si_pid == 0) return false;
  if ((flags & WNOWAIT) != 0) return true;
  reaped_ = true;
  lost_ = error != 0;
  status_ = info.si_code == CLD_EXITED ? exit_status::of_code(info.si_status)
                                       : exit_status::of_signal(info.si_status);
  return true;
}

bool child::reap() noexcept {
  std::lock_guard<std::mutex> hold(lock_);
  return look(0);
}

bool child::has_ended() noexcept {
  std::lock_guard<std::mutex> hold(lock_);
  return look(WNOWAIT);
}

int child::send(int signal) noexcept {
  std::lock_guard<std::mutex> hold(lock_);
  if (reaped_) return 0;  // (1)
  int error = 0;
  if (pidfd_.get() >= 0) error = send_by_pidfd(pidfd_.get(), leads_group_ ? 0 : signal);
  if (error == 0 && (leads_group_ || pidfd_.get() < 0))
    error = send_by_number(leads_group_ ? -pid_ : pid_, signal);
  return error == -ESRCH ? 0 : error;
}

void child::await_end() {
  patience looking;
  while (!reap()) {
    if (pidfd_.get() < 0 || wait_for_fd(pidfd_.get(), direction::read, "process") != 0)
      looking.pause(cancellation::delivered);
  }
}

exit_status child::wait() {
  begin_io("process::wait()");
  await_end();
  std::lock_guard<std::mutex> hold(lock_);
  if (lost_)
    throw io_error(std::make_error_code(std::errc::no_child_process),
                   "cannot tell how process " + std::to_string(pid_) + " ended");
  return status_;
}

void child::block_until_end() noexcept {
  siginfo_t info{};
  wait_for(pidfd_.get(), pid_, WEXITED | WNOWAIT, info);
  reap();
}

void child::end() noexcept {
  if (is_forked_child.load(std::memory_order_relaxed)) return;  // it is the parent's
  {
    std::lock_guard<std::mutex> hold(lock_);
    if (reaped_) return;
  }
  const fiber_shield shield(current_fiber());
  if (grace_ > 0) {
    send(SIGTERM);
    try {
      patience gentle(saturating_add(steady_now(), grace_));
      while (!has_ended() && gentle.pause(cancellation::ignored)) {
      }
    } catch (...) {  // parking is forbidden here
    }
  }
  send(SIGKILL);  // (4): to the rest of the group
  try {
    if (current_fiber() != nullptr) await_end();
  } catch (...) {
  }
  if (!reap()) block_until_end();
}

namespace {

struct detached_children {
  std::mutex lock;
  std::vector<std::shared_ptr<child>> all;
};

detached_children& detached_ones() noexcept {
  static never_destroyed<detached_children> only;
  return only.get();
}

}  // namespace

void leave_alone(std::shared_ptr<child> detached) {
  std::lock_guard<std::mutex> hold(detached_ones().lock);
  detached_ones().all.push_back(std::move(detached));
}

void reap_detached() noexcept {
  std::lock_guard<std::mutex> hold(detached_ones().lock);
  auto& all = detached_ones().all;
  all.erase(std::remove_if(all.begin(), all.end(), [](const auto& each) { return each->reap(); }),
            all.end());
}

}  // namespace weft::detail
