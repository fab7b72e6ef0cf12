// See loop.hpp.
#include "reactor/loop.hpp"

#include <system_error>
#include <thread>

#include "base/assert.hpp"
#include "reactor/poll_set.hpp"
#include "reactor/watch.hpp"
#include "sched/worker.hpp"

#ifdef __linux__
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace weft::detail {
namespace {

[[noreturn]] void throw_uv(int code, const char* what) {
  throw std::system_error(-code, std::generic_category(), what);
}

constexpr auto cannot_open = "weft: cannot open an event loop";

// libuv closes past libc. What another thread opens then may have the same number, and to a thread
// sanitizer, which has not seen the close, that is a race: unless there is an order.
std::mutex opening_and_closing;

#ifdef __linux__

// With the first loop of the process libuv also opens a pipe, and aborts if it cannot. So the three
// descriptors of that are tried before: we can throw.
void make_sure_of_first_descriptors() {
  static std::atomic<bool> done{false};
  if (done.load(std::memory_order_relaxed)) return;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  int ends[2] = {-1, -1};
  const bool enough = epoll >= 0 && pipe2(ends, O_CLOEXEC) == 0;
  const int error = errno;
  for (int each : {epoll, ends[0], ends[1]})
    if (each >= 0) ::close(each);
  if (!enough) throw_uv(-error, cannot_open);
  done.store(true, std::memory_order_relaxed);
}

void init(uv_loop_t& fresh) {
  make_sure_of_first_descriptors();
  fresh.backend_fd = -1;
  const int code = uv_loop_init(&fresh);
  if (code == 0) return;
  constexpr unsigned last_that_leaks = 0x012c02;  // the epoll, if what it opens next fails: 1.44.2
  if (uv_version() <= last_that_leaks && fresh.backend_fd >= 0) ::close(fresh.backend_fd);
  throw_uv(code, cannot_open);
}

#else

void init(uv_loop_t& fresh) {
  if (int code = uv_loop_init(&fresh)) throw_uv(code, cannot_open);
}

#endif

}  // namespace

loop::loop() : descriptors_(std::make_unique<poll_set>()) {
  std::lock_guard<std::mutex> alone(opening_and_closing);
  init(uv_);
  uv_.data = this;
  try {
    open_handles();
  } catch (...) {
    close_handles();
    throw;
  }
}

loop::~loop() {
  std::lock_guard<std::mutex> hold(access_);
  ends_ = true;
  detach_watches();
  descriptors_->close_handle();
  std::lock_guard<std::mutex> alone(opening_and_closing);
  close_handles();
}

void loop::detach_watches() noexcept {
  for (;;) {
    // In this order: who has not announced itself by now finds no watch that knows the loop.
    run_posted();
    while (watch* left = watches_.front()) left->forget_loop();
    uv_run(&uv_, UV_RUN_NOWAIT);
    if (announced_.load(std::memory_order_acquire) != 0)
      std::this_thread::yield();
    else if (!any_posted_.load(std::memory_order_acquire))
      return;
  }
}

void loop::poll(nanos until) noexcept {
  std::lock_guard<std::mutex> hold(access_);
  run_posted();
  if (until <= 0 || told_to_wake() || until <= now()) {
    if (busy_.load(std::memory_order_relaxed) > 0) uv_run(&uv_, UV_RUN_NOWAIT);
  } else {
    set_alarm(until);
    uv_run(&uv_, UV_RUN_ONCE);
  }
  forget_wake_ups();
  run_posted();
}

bool loop::poll_for_owner() noexcept {
  std::unique_lock<std::mutex> hold(access_, std::try_to_lock);
  if (!hold.owns_lock()) return false;
  run_posted();
  if (busy_.load(std::memory_order_relaxed) > 0) uv_run(&uv_, UV_RUN_NOWAIT);
  return true;
}

void loop::execute(task& what) noexcept {
  std::unique_lock<std::mutex> hold(access_, std::try_to_lock);
  if (hold.owns_lock()) {
    run_posted();
    what.run(what, *this);
    return;
  }
  {
    std::lock_guard<spin_lock> order(posted_lock_);
    posted_.push(&what);
    any_posted_.store(true, std::memory_order_release);  // pairs with run_posted()
  }
  wake();
}

void loop::run_posted() noexcept {
  while (any_posted_.load(std::memory_order_acquire)) {
    intrusive_queue<task> batch;
    {
      std::lock_guard<spin_lock> order(posted_lock_);
      batch.append(posted_);
      any_posted_.store(false, std::memory_order_relaxed);
    }
    while (task* next = batch.pop()) next->run(*next, *this);
  }
}

loop& loop::current() {
  return static_cast<loop&>(static_cast<worker*>(current_carrier())->loop());
}

#ifdef __linux__

void loop::wake() noexcept {
  // Pairs with told_to_wake() and forget_wake_ups(): what the waker did before is seen after.
  if (told_to_wake_.exchange(true, std::memory_order_acq_rel)) return;
  constexpr std::uint64_t one = 1;
  while (::write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

bool loop::told_to_wake() const noexcept { return told_to_wake_.load(std::memory_order_acquire); }

void loop::forget_wake_ups() noexcept {
  if (told_to_wake()) told_to_wake_.exchange(false, std::memory_order_acq_rel);
}

// Takes the descriptor over.
void loop::open_handle(uv_poll_t& handle, int& place, int fd, uv_poll_cb on_event) {
  if (fd < 0) throw_uv(-errno, cannot_open);
  if (int code = uv_poll_init(&uv_, &handle, fd)) {
    ::close(fd);
    throw_uv(code, cannot_open);
  }
  place = fd;
  uv_poll_start(&handle, UV_READABLE, on_event);
}

void loop::open_handles() {
  open_handle(wake_up_, wake_fd_, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
              [](uv_poll_t*, int, int) {});
  // Setting it anew clears an expiry, so the descriptor is never read.
  open_handle(alarm_, alarm_fd_, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
              [](uv_poll_t* self, int, int) {
                auto* me = static_cast<loop*>(self->loop->data);
                me->alarm_at_ = 0;
              });
  uv_run(&uv_, UV_RUN_NOWAIT);  // libuv registers when it polls, and knows of no edges
  epoll_event edges{};
  edges.events = EPOLLIN | EPOLLET;
  edges.data.fd = wake_fd_;
  if (epoll_ctl(uv_backend_fd(&uv_), EPOLL_CTL_MOD, wake_fd_, &edges) != 0)
    throw_uv(-errno, cannot_open);
}

void loop::close_handles() noexcept {
  if (wake_fd_ >= 0) uv_close(reinterpret_cast<uv_handle_t*>(&wake_up_), nullptr);
  if (alarm_fd_ >= 0) uv_close(reinterpret_cast<uv_handle_t*>(&alarm_), nullptr);
  uv_run(&uv_, UV_RUN_DEFAULT);
  WEFT_CHECK(uv_loop_close(&uv_) == 0);
  if (wake_fd_ >= 0) ::close(wake_fd_);
  if (alarm_fd_ >= 0) ::close(alarm_fd_);
}

void loop::set_alarm(nanos deadline) noexcept {
  if (deadline == alarm_at_) return;
  alarm_at_ = deadline;
  itimerspec when{};
  if (deadline != never) {
    when.it_value.tv_sec = static_cast<time_t>(deadline / 1'000'000'000);
    when.it_value.tv_nsec = static_cast<long>(deadline % 1'000'000'000);
  }
  timerfd_settime(alarm_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

#else

void loop::wake() noexcept { uv_async_send(&wake_up_); }

bool loop::told_to_wake() const noexcept { return false; }

void loop::forget_wake_ups() noexcept {}

void loop::open_handles() {
  uv_timer_init(&uv_, &alarm_);
  if (int code = uv_async_init(&uv_, &wake_up_, [](uv_async_t*) {})) throw_uv(code, cannot_open);
  has_wake_up_ = true;
}

void loop::close_handles() noexcept {
  uv_close(reinterpret_cast<uv_handle_t*>(&alarm_), nullptr);
  if (has_wake_up_) uv_close(reinterpret_cast<uv_handle_t*>(&wake_up_), nullptr);
  uv_run(&uv_, UV_RUN_DEFAULT);
  WEFT_CHECK(uv_loop_close(&uv_) == 0);
}

void loop::set_alarm(nanos deadline) noexcept {
  alarm_at_ = deadline;
  if (deadline == never) {
    uv_timer_stop(&alarm_);
    return;
  }
  uv_update_time(&uv_);
  const nanos left = deadline - now();
  const auto ms = left <= 0 ? 0 : static_cast<std::uint64_t>((left - 1) / 1'000'000 + 1);
  uv_timer_start(
      &alarm_, [](uv_timer_t*) {}, ms, 0);
}

#endif

}  // namespace weft::detail
