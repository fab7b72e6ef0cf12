// Readiness of one descriptor: at most one reader and one writer wait on it.
// Fibers wait and close, from any worker; the callback runs with access to the loop.
//
// (1) Sticky and level-triggered: once armed for a direction it stays armed. The callback wakes who
//     waits. If nobody does, it remembers "ready" and disarms, so that a level does not spin.
// (2) lock_ guards waiters, ready, armed and closed; a waiter is claimed under it (waitable.hpp (4)).
//     The uv handle is touched only with access to the loop, never under lock_.
// (3) The loop is that of the worker where the first wait happens. A fiber elsewhere needs it only to
//     arm a direction that is not armed.
// (4) The descriptor is closed after uv_close(), so that no event of its number can reach a later
//     descriptor. Memory goes when both the owner and the loop have let go of it.
// Rejected: one-shot arming (two epoll_ctl more for each read).
#pragma once
#include <uv.h>

#include <atomic>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "fiber/park.hpp"
#include "reactor/loop.hpp"

namespace weft::detail {

enum class direction : unsigned { read = 0, write = 1 };

enum class ready_state { ready, closed, busy, failed, timed_out };

class watch : public list_hook {
 public:
  // Takes the descriptor over; it must be non-blocking. Nothing is registered before a wait.
  static watch* make(int fd) { return new watch(fd); }

  // Parks until the direction is ready, or at once `closed`, or `busy` if another waits for it.
  // `failed`: the loop cannot watch this descriptor; error() says why.
  // Cancellation: throws cancelled.
  ready_state wait(direction which, const char* what, nanos deadline = never);

  // Wakes both waiters with `closed`, then closes the descriptor. False if it was closed before.
  bool close() noexcept;

  // The owner goes away; closes if need be.
  void release() noexcept;

  // Gives the descriptor back unclosed: the caller's from now on. Only when nobody waits.
  void release_keeping_fd() noexcept;

  bool closed() noexcept;
  int fd() const noexcept { return fd_; }
  int error() const noexcept { return error_; }

  void detach() noexcept;  // by the loop's destructor

 private:
  explicit watch(int fd) noexcept : fd_(fd) {}
  ~watch() = default;

  static constexpr unsigned bit(direction which) noexcept {
    return which == direction::read ? UV_READABLE : UV_WRITABLE;
  }
  static void on_event(uv_poll_t* handle, int status, int events) noexcept;

  void arm(loop& on) noexcept;
  void take_down(loop& on) noexcept;
  void set_events(unsigned events) noexcept;
  void drop() noexcept;

  struct arm_task : loop::task {
    watch* self;
  };
  struct close_task : loop::task {
    watch* self;
  };

  const int fd_;
  bool keep_fd_ = false;
  int error_ = 0;
  loop* on_ = nullptr;  // set once, under lock_
  std::atomic<int> holders_{1};

  spin_lock lock_;
  waitable* waiting_[2] = {nullptr, nullptr};
  bool ready_[2] = {false, false};
  bool closed_ = false;
  bool arm_posted_ = false;
  unsigned armed_ = 0;

  bool open_ = false;        // the uv handle, like what follows: with access only
  unsigned started_ = 0;
  uv_poll_t handle_;
  arm_task arm_;
  close_task close_;
};

}  // namespace weft::detail
