// See poll_set.hpp.
#include "reactor/poll_set.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include "reactor/watch.hpp"

namespace weft::detail {
namespace {

constexpr int batch = 64;  // events taken in one call; more come with the next

std::uint32_t event_of(direction which) noexcept {
  return which == direction::read ? EPOLLIN : EPOLLOUT;
}

// Sets the flag, under the waiter's lock, and wakes it.
void raise(poll_set::waiter& what, bool& flag) noexcept {
  claim got = claim::lost;
  waitable* who = nullptr;
  {
    std::lock_guard<spin_lock> hold(what.lock);
    flag = true;
    who = std::exchange(what.who, nullptr);
    if (who != nullptr) got = try_claim(*who, wake_reason::notified);
  }
  if (got == claim::must_resume) resume(*who);
}

}  // namespace

poll_set::~poll_set() {
  if (epoll_ >= 0) ::close(epoll_);
}

void poll_set::close_handle() noexcept {
  if (open_) uv_close(reinterpret_cast<uv_handle_t*>(&handle_), nullptr);
  open_ = false;
}

int poll_set::open(loop& on) noexcept {
  if (open_) return 0;
  if (epoll_ < 0) epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  if (int code = uv_poll_init(on.uv(), &handle_, epoll_)) return -code;
  uv_poll_start(&handle_, UV_READABLE, [](uv_poll_t* self, int, int) {
    auto& mine = *static_cast<loop*>(self->loop->data);
    mine.descriptors().dispatch(mine);
  });
  open_ = true;
  return 0;
}

void poll_set::add(loop& on, waiter& fresh) noexcept {
  int code = open(on);
  if (code == 0) code = enlist(on, fresh);
  if (code != 0) finish(fresh, code == EPERM ? 0 : code);
}

int poll_set::enlist(loop& on, waiter& fresh) noexcept {
  if (fresh.fd < 0) return EBADF;
  const auto index = static_cast<std::size_t>(fresh.fd);
  try {
    if (index >= slots_.size()) slots_.resize(index + index / 2 + 16);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  slot& at = slots_[index];
  if (const int code = arm(on, fresh.fd, at, event_of(fresh.which))) return code;
  fresh.next = at.first;
  if (at.first != nullptr) at.first->prev = &fresh;
  at.first = &fresh;
  fresh.listed = true;
  on.note_busy(1);
  return 0;
}

// Asks for the next event of those that the waiters, and a newcomer, want.
int poll_set::arm(loop& on, int fd, slot& at, std::uint32_t newcomer) noexcept {
  if (at.number != 0) {
    std::uint32_t want = newcomer;
    for (const waiter* each = at.first; each != nullptr; each = each->next)
      want |= event_of(each->which);
    const int code = set_events(EPOLL_CTL_MOD, fd, at, want);
    if (code != ENOENT && code != EBADF) return code;
    fail_all(on, at, EBADF);  // closed under them, see (3)
    if (code == EBADF || newcomer == 0) return code;
  }
  if (++numbers_ == 0) ++numbers_;
  at.number = numbers_;
  return set_events(EPOLL_CTL_ADD, fd, at, newcomer);
}

int poll_set::set_events(int operation, int fd, const slot& at, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = std::uint64_t{at.number} << 32 | static_cast<std::uint32_t>(fd);
  return epoll_ctl(epoll_, operation, fd, &event) == 0 ? 0 : errno;
}

void poll_set::fail_all(loop& on, slot& at, int code) noexcept {
  while (at.first != nullptr) {
    waiter& lost = *at.first;
    unlist(on, lost);
    finish(lost, code);
  }
}

void poll_set::unlist(loop& on, waiter& gone) noexcept {
  slot& at = slots_[static_cast<std::size_t>(gone.fd)];
  if (gone.prev != nullptr)
    gone.prev->next = gone.next;
  else
    at.first = gone.next;
  if (gone.next != nullptr) gone.next->prev = gone.prev;
  gone.listed = false;
  on.note_busy(-1);
}

void poll_set::leave(loop& on, waiter& from) noexcept {
  if (from.listed) unlist(on, from);
  raise(from, from.left);
}

void poll_set::dispatch(loop& on) noexcept {
  epoll_event events[batch];
  int got = 0;
  do got = epoll_wait(epoll_, events, batch, 0);
  while (got < 0 && errno == EINTR);
  for (int i = 0; i < got; ++i) dispatch_one(on, events[i].data.u64, events[i].events);
}

void poll_set::dispatch_one(loop& on, std::uint64_t tag, std::uint32_t events) noexcept {
  slot& at = slots_[static_cast<std::uint32_t>(tag)];
  if (at.first == nullptr || at.number != tag >> 32) return;
  // The end and a failure concern both directions.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) events |= EPOLLIN | EPOLLOUT;
  const int fd = at.first->fd;
  waiter* ready = nullptr;
  for (waiter* each = at.first; each != nullptr;) {
    waiter& one = *std::exchange(each, each->next);
    if ((events & event_of(one.which)) == 0) continue;
    unlist(on, one);
    one.next = ready;
    ready = &one;
  }
  const int code = at.first != nullptr ? arm(on, fd, at, 0) : 0;
  while (ready != nullptr) finish(*std::exchange(ready, ready->next), 0);
  if (code != 0) fail_all(on, at, code);
}

void poll_set::finish(waiter& what, int code) noexcept {
  what.code = code;
  raise(what, what.done);
}

namespace {

struct set_task : loop::task {
  poll_set::waiter* mine = nullptr;
};

// Parks until add() is undone.
void leave_set(loop& on, poll_set::waiter& mine, const char* what) {
  set_task end;
  end.mine = &mine;
  end.run = [](loop::task& self, loop& here) noexcept {
    here.descriptors().leave(here, *static_cast<set_task&>(self).mine);
  };
  on.execute(end);  // after `begin`, by the order of tasks
  for (;;) {
    parking wait(what, cancellation::ignored);
    {
      std::lock_guard<spin_lock> hold(mine.lock);
      if (mine.left) {
        wait.abandon();
        return;
      }
      mine.who = &wait.self();
    }
    wait.park();
  }
}

}  // namespace

int wait_for_fd(int fd, direction which, const char* what, watch* closed_by) {
  set_task begin;
  poll_set::waiter mine;
  mine.fd = fd;
  mine.which = which;
  begin.mine = &mine;
  begin.run = [](loop::task& self, loop& on) noexcept {
    on.descriptors().add(on, *static_cast<set_task&>(self).mine);
  };
  parking wait(what);
  if (closed_by != nullptr && !closed_by->begin_outside_wait(which, wait.self())) {
    wait.abandon();
    return ECANCELED;
  }
  mine.who = &wait.self();
  loop& on = loop::current();
  on.execute(begin);
  const wake_reason why = wait.park();
  if (closed_by != nullptr) closed_by->end_outside_wait(which);
  {
    std::lock_guard<spin_lock> until_free(mine.lock);  // the waker may still stand in it
    mine.who = nullptr;
    if (mine.done && why == wake_reason::notified) return mine.code;
  }
  leave_set(on, mine, what);
  if (why == wake_reason::cancelled) throw_cancelled();
  return ECANCELED;
}

}  // namespace weft::detail
