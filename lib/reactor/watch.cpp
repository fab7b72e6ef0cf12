// See watch.hpp.
#include "reactor/watch.hpp"

#include <unistd.h>

#include <mutex>

namespace weft::detail {

ready_state watch::wait(direction which, const char* what, nanos deadline) {
  const unsigned at = static_cast<unsigned>(which);
  parking wait(what);
  bool post = false;
  {
    std::lock_guard<spin_lock> hold(lock_);
    const bool taken = waiting_[at] != nullptr;
    if (closed_ || error_ != 0 || taken || ready_[at]) {
      wait.abandon();
      if (closed_) return ready_state::closed;
      if (error_ != 0) return ready_state::failed;
      if (taken) return ready_state::busy;
      ready_[at] = false;
      return ready_state::ready;
    }
    if (on_ == nullptr) {
      on_ = &loop::current();
      holders_.fetch_add(1, std::memory_order_relaxed);  // the loop's, until take_down()
    }
    waiting_[at] = &wait.self();
    if ((armed_ & bit(which)) == 0 && !arm_posted_) arm_posted_ = post = true;
  }
  if (post) {
    arm_.self = this;
    arm_.run = [](loop::task& self, loop& on) noexcept {
      static_cast<arm_task&>(self).self->arm(on);
    };
    on_->execute(arm_);
  }
  const wake_reason why = wait.park_until(deadline);
  std::lock_guard<spin_lock> hold(lock_);
  if (why != wake_reason::notified && waiting_[at] == &wait.self()) waiting_[at] = nullptr;
  if (why == wake_reason::cancelled) throw_cancelled();
  if (why == wake_reason::timed_out) return ready_state::timed_out;
  if (closed_) return ready_state::closed;
  return error_ != 0 ? ready_state::failed : ready_state::ready;
}

// With access. Registers what is waited for and is not armed yet.
void watch::arm(loop& on) noexcept {
  unsigned want = 0;
  {
    std::lock_guard<spin_lock> hold(lock_);
    arm_posted_ = false;
    if (closed_) return;
    want = armed_;
    if (waiting_[0] != nullptr) want |= UV_READABLE;
    if (waiting_[1] != nullptr) want |= UV_WRITABLE;
    armed_ = want;
  }
  int code = 0;
  if (!open_) {
    code = uv_poll_init(on.uv(), &handle_, fd_);
    if (code == 0) {
      open_ = true;
      handle_.data = this;
      on.watches().push_back(*this);
    }
  }
  if (code == 0) {
    set_events(want);
    return;
  }
  claim got[2] = {claim::lost, claim::lost};
  waitable* who[2];
  {
    std::lock_guard<spin_lock> hold(lock_);
    error_ = -code;
    on_ = nullptr;  // close() needs no loop then
    for (unsigned at = 0; at < 2; ++at) {
      who[at] = std::exchange(waiting_[at], nullptr);
      if (who[at] != nullptr) got[at] = try_claim(*who[at], wake_reason::notified);
    }
  }
  drop();  // the loop's hold; a fiber that still stands in wait() keeps the owner's
  for (unsigned at = 0; at < 2; ++at)
    if (got[at] == claim::must_resume) resume(*who[at]);
}

void watch::set_events(unsigned events) noexcept {
  if (events == started_) return;
  loop& on = *static_cast<loop*>(handle_.loop->data);
  on.note_busy((events != 0) - (started_ != 0));
  started_ = events;
  if (events == 0)
    uv_poll_stop(&handle_);
  else
    uv_poll_start(&handle_, static_cast<int>(events), &watch::on_event);
}

void watch::on_event(uv_poll_t* handle, int status, int events) noexcept {
  auto& self = *static_cast<watch*>(handle->data);
  // On an error libuv has stopped the handle. Whoever waits makes the system call and gets the cause.
  if (status < 0) {
    events = UV_READABLE | UV_WRITABLE;
    self.set_events(0);
  }
  claim got[2] = {claim::lost, claim::lost};
  waitable* who[2] = {nullptr, nullptr};
  unsigned armed = 0;
  {
    std::lock_guard<spin_lock> hold(self.lock_);
    if (status < 0) self.armed_ = 0;
    for (direction which : {direction::read, direction::write}) {
      const unsigned at = static_cast<unsigned>(which);
      if ((static_cast<unsigned>(events) & bit(which)) == 0) continue;
      who[at] = std::exchange(self.waiting_[at], nullptr);
      if (who[at] != nullptr) got[at] = try_claim(*who[at], wake_reason::notified);
      if (got[at] != claim::lost) continue;
      self.ready_[at] = true;
      self.armed_ &= ~bit(which);
    }
    armed = self.armed_;
  }
  // Before the resumed fibers can run elsewhere and ask for more.
  self.set_events(armed);
  for (unsigned at = 0; at < 2; ++at)
    if (got[at] == claim::must_resume) resume(*who[at]);
}

bool watch::close() noexcept {
  claim got[2] = {claim::lost, claim::lost};
  waitable* who[2] = {nullptr, nullptr};
  loop* on = nullptr;
  {
    std::lock_guard<spin_lock> hold(lock_);
    if (closed_) return false;
    closed_ = true;
    on = on_;
    for (unsigned at = 0; at < 2; ++at) {
      who[at] = std::exchange(waiting_[at], nullptr);
      if (who[at] != nullptr) got[at] = try_claim(*who[at], wake_reason::notified);
    }
  }
  if (on == nullptr) {
    if (!keep_fd_) ::close(fd_);
  } else {
    close_.self = this;
    close_.run = [](loop::task& self, loop& at) noexcept {
      static_cast<close_task&>(self).self->take_down(at);
    };
    on->execute(close_);
  }
  for (unsigned at = 0; at < 2; ++at)
    if (got[at] == claim::must_resume) resume(*who[at]);
  return true;
}

// With access, once.
void watch::take_down(loop&) noexcept {
  if (!open_) {
    if (!keep_fd_) ::close(fd_);
    drop();
    return;
  }
  set_events(0);
  intrusive_list<watch>::erase(*this);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
           [](uv_handle_t* handle) { static_cast<watch*>(handle->data)->drop(); });
  if (!keep_fd_) ::close(fd_);  // libuv forgot the number in uv_close()
}

void watch::detach() noexcept {
  {
    std::lock_guard<spin_lock> hold(lock_);
    closed_ = true;
  }
  take_down(*static_cast<loop*>(handle_.loop->data));
}

void watch::release() noexcept {
  close();
  drop();
}

void watch::release_keeping_fd() noexcept {
  keep_fd_ = true;
  release();
}

bool watch::closed() noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  return closed_;
}

void watch::drop() noexcept {
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace weft::detail
