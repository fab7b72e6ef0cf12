// Readiness of a descriptor that the library owns, and the order in which it may be closed.
// Fibers enter, wait, leave and close, from any worker; the callback runs with access to the loop.
//
// (1) Sticky: once armed for a direction it stays armed. The callback wakes who waits; if nobody
//     does, it remembers "ready". A level would then be reported by every poll until someone reads,
//     so at the first such event the registration becomes edge-triggered, or is disarmed where that
//     cannot be had. Both work since a wait comes after "ready" was consumed, or after a call that
//     found less than it asked for: whatever comes later is an edge, and a level. The end of the
//     stream may have come with the last bytes, as one edge; so it is asked for by itself, and once
//     it was seen reading is always ready.
//     A read also stops short at urgent data, with more behind it and no edge to come. Once there
//     was any, each wait looks for itself before it parks.
// (2) lock_ guards everything but the uv handle; a waiter is claimed under it (waitable.hpp (4)).
//     The handle is touched only with access to the loop, never under lock_.
// (3) The loop is that of the worker where the first wait happens. A fiber elsewhere needs it only
//     to arm a direction that is not armed. When the loop ends, the next wait takes another. A task
//     is announced to the loop under lock_, so that the loop does not end before it ran.
// (4) Who makes system calls on the descriptor is inside: one for each direction, any number else.
//     The number is given back to the system only when nobody is inside and the loop has forgotten
//     it, so neither a call nor an event can hit a later descriptor of the same number.
// (5) Memory goes when the owner, the loop and everyone inside have let go of it, and no arm_ is on
//     its way: close() by another thread may overtake that.
// Rejected: one-shot arming (two epoll_ctl more for each read). Level-triggering throughout: with
// many connections the worker polls while the woken still queue, and each is disarmed and armed
// again (half of all system calls at 50 connections). Edge-triggering from the start: libuv
// registers when it polls next, so the change would be a system call more for each short
// connection.
#pragma once
#include <uv.h>

#include <atomic>
#include <mutex>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "fiber/park.hpp"
#include "reactor/loop.hpp"

namespace weft::detail {

enum class ready_state { ready, closed, busy, failed, timed_out };

class watch : public list_hook {
 public:
  // Takes the descriptor over; it must be non-blocking. Nothing is registered before a wait.
  static watch* make(int fd) { return new watch(fd); }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

  // `ready` if the caller may use the descriptor in this direction until leave(); otherwise
  // `closed`, or `busy` if another fiber does.
  ready_state enter(direction which) noexcept;
  void leave(direction which) noexcept;

  // The same for calls that never wait. False if it is closed.
  bool enter() noexcept;
  void leave() noexcept;

  // Parks until the direction is ready; or at once `closed`, or `busy` if another waits for it.
  // `ready` is told once: try the system call before the next wait.
  // `failed`: the loop cannot watch this descriptor; error() says why.
  // Cancellation: throws cancelled.
  ready_state wait(direction which, const char* what, nanos deadline = never);

  // A wait that something else than this watch ends, see poll_set.hpp: close() ends it, too. False
  // if it is closed already.
  bool begin_outside_wait(direction which, waitable& who) noexcept;
  void end_outside_wait(direction which) noexcept;

  // Wakes all who wait with `closed` and closes the descriptor. In a fiber it returns after that
  // has happened, elsewhere it may be before. Idempotent.
  void close() noexcept;

  // The owner goes away; closes if need be.
  void release() noexcept;

  // Whoever is inside should come out once this is so.
  bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  int fd() const noexcept { return fd_; }  // only inside
  int error(direction which) const noexcept {
    return error_[static_cast<unsigned>(which)].load(std::memory_order_relaxed);
  }

  void forget_loop() noexcept;  // by the loop's destructor

 protected:
  explicit watch(int fd) noexcept;
  virtual ~watch() = default;

  // Just before the descriptor is closed, without any lock.
  virtual void closing() noexcept {}

 private:
  static constexpr unsigned bit(direction which) noexcept {
    return which == direction::read ? UV_READABLE : UV_WRITABLE;
  }
  static constexpr unsigned with_hang_up(unsigned events) noexcept {
    return (events & UV_READABLE) != 0 ? events | UV_DISCONNECT | UV_PRIORITIZED : events;
  }
  static void on_event(uv_poll_t* handle, int status, int events) noexcept;
  bool readable_now() const noexcept;

  struct claimed;

  void arm(loop& on) noexcept;
  void arm_failed(int code) noexcept;
  void let_go_of_loop(claimed& woken) noexcept;
  void take_down() noexcept;
  void close_handle() noexcept;
  void handle_closed() noexcept;
  void set_events(unsigned events) noexcept;
  void disarm(unsigned directions) noexcept;
  bool become_edge_triggered(int fd) noexcept;
  void settle(std::unique_lock<spin_lock>& hold) noexcept;
  void wait_until_closed() noexcept;

  struct task : loop::task {
    watch* self = nullptr;
  };

  mutable spin_lock lock_;
  int fd_;
  loop* on_ = nullptr;    // not null: the loop may know the descriptor
  unsigned holders_ = 1;  // the owner, and the loop from the first wait on
  unsigned inside_ = 0;
  bool entered_[2] = {false, false};
  waitable* waiting_[2] = {nullptr, nullptr};
  waitable* closer_ = nullptr;
  bool ready_[2] = {false, false};
  bool hung_up_ = false;  // the peer has sent its end: reading never has to wait again
  std::atomic<bool> stops_short_{false};    // a read may leave bytes behind that make no edge
  std::atomic<int> error_[2] = {{0}, {0}};  // written under lock_, before the waiter is claimed
  std::atomic<bool> closed_{false};         // written under lock_
  bool fd_closed_ = false;
  bool arm_posted_ = false;
  unsigned armed_ = 0;

  bool open_ = false;  // the uv handle, like what follows: with access only
  bool closing_ = false;
  unsigned started_ = 0;
  bool on_edges_ = false;
  uv_poll_t handle_;
  task arm_;
  task close_;
};

}  // namespace weft::detail
