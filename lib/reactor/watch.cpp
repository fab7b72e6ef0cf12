// See watch.hpp.
#include "reactor/watch.hpp"

#include <poll.h>
#include <unistd.h>

#include <utility>

#ifdef __linux__
#include <sys/epoll.h>
#endif

namespace weft::detail {

// Who is to be woken, collected under a lock and woken after it.
struct watch::claimed {
  waitable* who[2] = {nullptr, nullptr};

  bool take(waitable*& from, unsigned at) noexcept {
    waitable* waiter = std::exchange(from, nullptr);
    if (waiter == nullptr) return false;
    const claim got = try_claim(*waiter, wake_reason::notified);
    if (got == claim::must_resume) who[at] = waiter;
    return got != claim::lost;
  }
  void wake() const noexcept {
    for (waitable* each : who)
      if (each != nullptr) resume(*each);
  }
};

watch::watch(int fd) noexcept : fd_(fd) {
  arm_.self = close_.self = this;
  arm_.run = [](loop::task& self, loop& on) noexcept { static_cast<task&>(self).self->arm(on); };
  close_.run = [](loop::task& self, loop&) noexcept { static_cast<task&>(self).self->take_down(); };
}

// ---- inside

ready_state watch::enter(direction which) noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  if (closed()) return ready_state::closed;
  bool& entered = entered_[static_cast<unsigned>(which)];
  if (entered) return ready_state::busy;
  entered = true;
  ++inside_;
  return ready_state::ready;
}

void watch::leave(direction which) noexcept {
  std::unique_lock<spin_lock> hold(lock_);
  entered_[static_cast<unsigned>(which)] = false;
  --inside_;
  if (closed()) settle(hold);  // until then the owner is there
}

bool watch::enter() noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  if (closed()) return false;
  ++inside_;
  return true;
}

void watch::leave() noexcept {
  std::unique_lock<spin_lock> hold(lock_);
  --inside_;
  if (closed()) settle(hold);
}

// ---- waiting

ready_state watch::wait(direction which, const char* what, nanos deadline) {
  const unsigned at = static_cast<unsigned>(which);
  // Bytes that come after this look are an edge.
  if (which == direction::read && stops_short_.load(std::memory_order_relaxed) && readable_now())
    return ready_state::ready;
  parking wait(what);
  bool post = false;
  loop* on = nullptr;
  {
    std::lock_guard<spin_lock> hold(lock_);
    const bool busy = waiting_[at] != nullptr;
    if (closed() || busy || ready_[at]) {
      wait.abandon();
      if (closed()) return ready_state::closed;
      if (busy) return ready_state::busy;
      ready_[at] = which == direction::read && hung_up_;
      return ready_state::ready;
    }
    if (on_ == nullptr) {
      on_ = &loop::current();
      ++holders_;  // the loop's
    }
    on = on_;
    error_[at].store(0, std::memory_order_relaxed);
    waiting_[at] = &wait.self();
    if ((armed_ & bit(which)) == 0 && !arm_posted_) {
      arm_posted_ = post = true;
      on->announce();
    }
  }
  if (post) on->execute_announced(arm_);
  const wake_reason why = wait.park_until(deadline);
  if (why != wake_reason::notified) {
    std::lock_guard<spin_lock> hold(lock_);
    if (waiting_[at] == &wait.self()) waiting_[at] = nullptr;
  }
  if (why == wake_reason::cancelled) throw_cancelled();
  // Without the lock: who notified has set both before.
  if (closed()) return ready_state::closed;
  if (error(which) != 0) return ready_state::failed;
  return why == wake_reason::timed_out ? ready_state::timed_out : ready_state::ready;
}

bool watch::begin_outside_wait(direction which, waitable& who) noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  if (closed()) return false;
  waiting_[static_cast<unsigned>(which)] = &who;
  return true;
}

void watch::end_outside_wait(direction which) noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  waiting_[static_cast<unsigned>(which)] = nullptr;
}

bool watch::readable_now() const noexcept {
  pollfd asked{fd_, POLLIN, 0};
  return ::poll(&asked, 1, 0) > 0;
}

// With access. Registers what is waited for and is not armed yet.
void watch::arm(loop& on) noexcept {
  unsigned want = 0;
  int fd = -1;
  claimed woken;
  {
    std::unique_lock<spin_lock> hold(lock_);
    arm_posted_ = false;
    if (closed()) {
      settle(hold);
      return;
    }
    fd = fd_;
    want = armed_;
    if (waiting_[0] != nullptr) want |= UV_READABLE;
    if (waiting_[1] != nullptr) want |= UV_WRITABLE;
    armed_ = want;
    const bool useless = want == 0 || on.ends();  // arm_failed(), handle_closed() left it to us
    if (useless && !open_) let_go_of_loop(woken);
    if (useless) want = 0;
  }
  if (want == 0) {
    woken.wake();
    return;
  }
  if (!open_) {
    if (int code = uv_poll_init(on.uv(), &handle_, fd)) {
      arm_failed(code);
      return;
    }
    open_ = true;
    handle_.data = this;
    on.watches().push_back(*this);
  }
  set_events(want);
}

void watch::arm_failed(int code) noexcept {
  claimed woken;
  std::unique_lock<spin_lock> hold(lock_);
  armed_ = 0;
  for (unsigned at = 0; at < 2; ++at) {
    if (waiting_[at] == nullptr) continue;
    error_[at].store(-code, std::memory_order_relaxed);
    woken.take(waiting_[at], at);
  }
  if (!closed() && !arm_posted_) let_go_of_loop(woken);
  hold.unlock();
  woken.wake();
}

// With access and lock_, while there is no handle and no task of ours is on its way to the loop:
// otherwise that does it. Whoever still waits, in another runtime, tries again.
void watch::let_go_of_loop(claimed& woken) noexcept {
  on_ = nullptr;
  armed_ = 0;
  for (unsigned at = 0; at < 2; ++at) woken.take(waiting_[at], at);
  --holders_;
}

void watch::set_events(unsigned events) noexcept {
  if (events == started_) return;
  loop& on = *static_cast<loop*>(handle_.loop->data);
  on.note_busy((events != 0) - (started_ != 0));
  started_ = events;
  on_edges_ = false;
  if (events == 0)
    uv_poll_stop(&handle_);
  else
    uv_poll_start(&handle_, static_cast<int>(with_hang_up(events)), &watch::on_event);
}

void watch::on_event(uv_poll_t* handle, int status, int events) noexcept {
  auto& self = *static_cast<watch*>(handle->data);
  // On an error libuv has stopped the handle. Whoever waits makes the system call and gets the
  // cause.
  if (status < 0) {
    events = UV_READABLE | UV_WRITABLE;
    self.set_events(0);
  }
  if ((events & UV_DISCONNECT) != 0) events |= UV_READABLE;
  claimed woken;
  // Urgent data alone wakes nobody, and is a level like others.
  unsigned unwanted = static_cast<unsigned>(events & UV_PRIORITIZED);
  if (unwanted != 0) self.stops_short_.store(true, std::memory_order_relaxed);
  int fd = -1;
  {
    std::lock_guard<spin_lock> hold(self.lock_);
    if (status < 0) self.armed_ = 0;
    if ((events & UV_DISCONNECT) != 0) self.hung_up_ = true;
    for (direction which : {direction::read, direction::write}) {
      const unsigned at = static_cast<unsigned>(which);
      if ((static_cast<unsigned>(events) & bit(which)) == 0) continue;
      if (woken.take(self.waiting_[at], at)) {
        self.ready_[at] = which == direction::read && self.hung_up_;
        continue;
      }
      self.ready_[at] = true;
      unwanted |= bit(which);
    }
    fd = self.fd_;
  }
  // Before the woken can run elsewhere and ask for more.
  if (unwanted != 0 && !self.on_edges_ && !self.become_edge_triggered(fd)) self.disarm(unwanted);
  woken.wake();
}

void watch::disarm(unsigned directions) noexcept {
  unsigned armed = 0;
  {
    std::lock_guard<spin_lock> hold(lock_);
    for (direction which : {direction::read, direction::write}) {
      if (waiting_[static_cast<unsigned>(which)] != nullptr) continue;  // came meanwhile
      armed_ &= ~(directions & bit(which));
    }
    armed = armed_;
  }
  set_events(armed);
}

#ifdef __linux__

// libuv offers no such mode. It keeps what it registered until it is told to watch for other
// events.
bool watch::become_edge_triggered(int fd) noexcept {
  epoll_event event{};
  event.events = EPOLLET;
  if ((started_ & UV_READABLE) != 0) event.events |= EPOLLIN | EPOLLRDHUP | EPOLLPRI;
  if ((started_ & UV_WRITABLE) != 0) event.events |= EPOLLOUT;
  event.data.fd = fd;
  on_edges_ =
      started_ != 0 && epoll_ctl(uv_backend_fd(handle_.loop), EPOLL_CTL_MOD, fd, &event) == 0;
  return on_edges_;
}

#else

bool watch::become_edge_triggered(int) noexcept { return false; }

#endif

// ---- closing

void watch::close() noexcept {
  claimed woken;
  loop* on = nullptr;
  std::unique_lock<spin_lock> hold(lock_);
  if (closed()) return;
  closed_.store(true, std::memory_order_relaxed);
  for (unsigned at = 0; at < 2; ++at) woken.take(waiting_[at], at);
  on = on_;
  if (on == nullptr) {
    settle(hold);
  } else {
    on->announce();
    hold.unlock();
    on->execute_announced(close_);
  }
  woken.wake();
  // The caller holds the watch, so settle() has not freed it.
  wait_until_closed();  // NOLINT(clang-analyzer-cplusplus.NewDelete)
}

// So that a port can be bound again, and a test can count descriptors, right after close().
void watch::wait_until_closed() noexcept {
  for (;;) {
    // The result of an ended fiber is dropped after it has left the registry: too late to park.
    const control* self = current_fiber();
    if (self == nullptr || self->done.load(std::memory_order_relaxed)) return;
    {
      std::lock_guard<spin_lock> hold(lock_);
      if (fd_closed_) return;
    }
    parking wait("close", cancellation::ignored);
    {
      std::lock_guard<spin_lock> hold(lock_);
      if (fd_closed_) {
        wait.abandon();
        return;
      }
      closer_ = &wait.self();
    }
    wait.park();
  }
}

// Unlocks. Closes the descriptor, and frees the object, when it was the last obstacle that went.
void watch::settle(std::unique_lock<spin_lock>& hold) noexcept {
  waitable* closer = nullptr;
  if (closed() && inside_ == 0 && on_ == nullptr && fd_ >= 0) {
    const int fd = std::exchange(fd_, -1);
    ++inside_;
    hold.unlock();
    closing();
    ::close(fd);
    hold.lock();
    --inside_;
    fd_closed_ = true;
    closer = std::exchange(closer_, nullptr);
    if (closer != nullptr && try_claim(*closer, wake_reason::notified) != claim::must_resume)
      closer = nullptr;
  }
  const bool last = holders_ == 0 && inside_ == 0 && !arm_posted_;
  hold.unlock();
  if (closer != nullptr) resume(*closer);
  if (last) delete this;
}

// With access, once, after closed_ was set.
void watch::take_down() noexcept {
  if (open_ && !closing_) close_handle();
  std::unique_lock<spin_lock> hold(lock_);
  on_ = nullptr;  // libuv forgot the number in uv_close()
  if (!open_) --holders_;
  settle(hold);
}

void watch::close_handle() noexcept {
  loop& on = *static_cast<loop*>(handle_.loop->data);
  if (started_ != 0) on.note_busy(-1);
  started_ = 0;  // uv_close() stops it
  closing_ = true;
  intrusive_list<watch>::erase(*this);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
           [](uv_handle_t* handle) { static_cast<watch*>(handle->data)->handle_closed(); });
}

void watch::handle_closed() noexcept {
  open_ = closing_ = false;
  claimed woken;
  std::unique_lock<spin_lock> hold(lock_);
  if (on_ == nullptr)
    --holders_;  // take_down() has been here
  else if (!closed() && !arm_posted_)
    let_go_of_loop(woken);  // only the loop ends
  settle(hold);
  woken.wake();
}

void watch::forget_loop() noexcept { close_handle(); }

void watch::release() noexcept {
  close();
  std::unique_lock<spin_lock> hold(lock_);
  --holders_;
  settle(hold);
}

}  // namespace weft::detail
