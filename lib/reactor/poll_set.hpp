// Readiness of descriptors that the program owns and may close, or use otherwise, after each wait.
// One for each loop; any number of fibers may wait for one descriptor, in either direction.
//
// (1) Nothing is armed for nobody, but for one event: each registration is one-shot. It stays when
//     its last waiter has gone; closing the descriptor takes it out, and until then arming it again
//     is one call.
// (2) The lists are touched only with access to the loop, and that is the lock under which a
//     waiter is claimed. Who was not notified comes back with a task to leave them, and waits for
//     it.
// (3) Each waiter arms anew, which tells whether the descriptor is still the file that is
// registered.
//     If it is not, then it was closed: who still waits for that file is told EBADF. A registration
//     carries a number of its own: should a duplicate keep the file of an old one open, its events
//     go nowhere, once.
// Rejected: a uv_poll_t for each wait. libuv sets O_NONBLOCK on the open file description, which
// other processes and the other standard streams of a terminal share, and takes one for each
// descriptor. An epoll of our own, watched by the loop, leaves the description alone. Taking out
// what nobody waits for: a second epoll_ctl for each wait. Leaving it armed for edges: nothing
// would tell that the number is another file's by now.
#pragma once
#include <uv.h>

#include <cstdint>
#include <vector>

#include "base/spin_lock.hpp"
#include "fiber/park.hpp"
#include "reactor/loop.hpp"

namespace weft::detail {

class watch;

class poll_set {
 public:
  // In the frame of the fiber that waits.
  struct waiter {
    int fd = -1;
    direction which = direction::read;
    int code = 0;  // an errno, once done

    spin_lock lock;  // guards the next three
    waitable* who = nullptr;
    bool done = false;
    bool left = false;

    bool listed = false;  // with access, like the links
    waiter* next = nullptr;
    waiter* prev = nullptr;
  };

  poll_set() = default;
  poll_set(const poll_set&) = delete;
  poll_set& operator=(const poll_set&) = delete;
  ~poll_set();

  // With access.
  void add(loop& on, waiter& fresh) noexcept;
  void leave(loop& on, waiter& from) noexcept;
  void close_handle() noexcept;  // the loop ends

 private:
  struct slot {
    waiter* first = nullptr;
    std::uint32_t number = 0;  // of the latest registration, see (3)
  };

  int open(loop& on) noexcept;
  int enlist(loop& on, waiter& fresh) noexcept;
  int arm(loop& on, int fd, slot& at, std::uint32_t newcomer) noexcept;
  int set_events(int operation, int fd, const slot& at, std::uint32_t events) noexcept;
  void fail_all(loop& on, slot& at, int code) noexcept;
  void unlist(loop& on, waiter& gone) noexcept;
  void dispatch(loop& on) noexcept;
  void dispatch_one(loop& on, std::uint64_t tag, std::uint32_t events) noexcept;
  static void finish(waiter& what, int code) noexcept;

  int epoll_ = -1;
  bool open_ = false;
  std::uint32_t numbers_ = 0;
  std::vector<slot> slots_;  // by descriptor
  uv_poll_t handle_;
};

// Parks until the descriptor is ready, has reached its end, or has failed. Running fiber only.
// Returns 0 or an errno. What epoll cannot watch, a regular file, is always ready.
// Given a watch that has been entered in this direction, its close() ends the wait: ECANCELED.
// Cancellation: throws cancelled.
int wait_for_fd(int fd, direction which, const char* what, watch* closed_by = nullptr);

}  // namespace weft::detail
