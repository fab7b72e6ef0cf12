// The number is 1 while a writer has it, else twice the count of readers.
//
// (1) Nobody overtakes: while somebody waits, who comes waits behind. Who lets go, or leaves the
//     queue, gives it to the first in the queue, or to all readers that stand there in a row. So
//     nobody waits who could have it.
// (2) owner_ is for the reports of mistakes alone, and is written by the writer, or by who gives it
//     to one, before that one goes on.
#include <weft/shared_mutex.hpp>

#include <system_error>

#include "sync/identity.hpp"
#include "sync/misuse.hpp"
#include "sync/wait_queue.hpp"

namespace weft {

using detail::wait_guard;
using detail::wait_room;

namespace {

constexpr std::uint64_t exclusive = 1;
constexpr std::uint64_t one_reader = 2;

std::uint64_t as_word(std::uint64_t number) noexcept { return number << wait_room::value_shift; }

std::uint64_t after_lock(std::uint64_t number, bool shared) noexcept {
  return shared ? number + one_reader : exclusive;
}
bool may_lock(std::uint64_t number, bool shared) noexcept {
  return number == 0 || (shared && number != exclusive);
}

[[noreturn]] void throw_lock_error(std::errc code, const char* what) {
  throw std::system_error(std::make_error_code(code), what);
}

}  // namespace

struct shared_mutex::access {
  // Takes it if it can be had and nobody waits.
  static bool try_take(shared_mutex& self, bool shared) noexcept {
    std::uint64_t seen = self.room_.word.load(std::memory_order_relaxed);
    for (detail::short_wait wait;;) {
      const std::uint64_t number = seen >> wait_room::value_shift;
      if ((seen & wait_room::waiters) != 0 || !may_lock(number, shared)) return false;
      if ((seen & wait_room::locked) != 0) {
        wait.once();
        seen = self.room_.word.load(std::memory_order_relaxed);
      } else if (self.room_.word.compare_exchange_weak(
                     seen, as_word(after_lock(number, shared)), std::memory_order_acquire,
                     std::memory_order_relaxed)) {  // acquire: pairs with let_go()
        if (!shared) self.owner_.store(detail::caller_identity(), std::memory_order_relaxed);
        return true;
      }
    }
  }

  // See (1).
  static void give(shared_mutex& self, wait_guard& held, detail::release_chain& chain) noexcept {
    detail::sync_list& queue = held.waiting();
    while (detail::sync_node* next = queue.front()) {
      if (!may_lock(held.value, next->shared)) return;
      queue.pop_front();
      if (!detail::notify(*next, chain)) continue;
      held.value = after_lock(held.value, next->shared);
      if (!next->shared) self.owner_.store(next->owner, std::memory_order_relaxed);
    }
  }

  // Takes `part` off the number. The last access to the object is the compare-exchange, or the end
  // of the guard.
  static void let_go(shared_mutex& self, std::uint64_t part) noexcept {
    std::uint64_t seen = self.room_.word.load(std::memory_order_relaxed);
    while ((seen & wait_room::locked) == 0) {
      const bool last = seen >> wait_room::value_shift == part;
      if (last && (seen & wait_room::waiters) != 0) break;
      if (self.room_.word.compare_exchange_weak(
              seen, seen - as_word(part), std::memory_order_release, std::memory_order_relaxed))
        return;
    }
    detail::release_chain chain;
    wait_guard held(self.room_);
    held.value -= part;
    give(self, held, chain);
  }
};

void shared_mutex::lock() {
  if (!access::try_take(*this, false)) lock_before(false, detail::never);
}

void shared_mutex::lock_shared() {
  if (!access::try_take(*this, true)) lock_before(true, detail::never);
}

bool shared_mutex::try_lock() noexcept { return access::try_take(*this, false); }

bool shared_mutex::try_lock_shared() noexcept { return access::try_take(*this, true); }

bool shared_mutex::lock_before(bool shared, std::int64_t deadline) {
  const std::uintptr_t self = detail::caller_identity();
  if (owner_.load(std::memory_order_relaxed) == self)
    throw_lock_error(std::errc::resource_deadlock_would_occur,
                     "weft: shared_mutex locked by the one that has it exclusively");
  const bool over = detail::has_passed(deadline);
  detail::parking wait("shared_mutex", detail::cancellation::ignored);
  detail::sync_node node(&wait.self());
  node.shared = shared;
  node.owner = self;
  {
    wait_guard held(room_);
    const bool mine = held.waiting().empty() && may_lock(held.value, shared);
    if (mine) {
      held.value = after_lock(held.value, shared);
      if (!shared) owner_.store(self, std::memory_order_relaxed);
    }
    if (mine || over) {
      wait.abandon();
      return mine;
    }
    held.waiting().push_back(node);
  }
  if (wait.park_until(deadline) == detail::wake_reason::notified) {
    node.await_release();
    return true;
  }
  detail::release_chain chain;
  wait_guard held(room_);
  if (node.linked()) detail::sync_list::erase(node);
  access::give(*this, held, chain);  // a writer that leaves may have kept readers waiting
  return false;
}

void shared_mutex::unlock() {
  if (owner_.load(std::memory_order_relaxed) != detail::caller_identity())
    throw_lock_error(std::errc::operation_not_permitted,
                     "weft: shared_mutex unlocked by one that does not have it");
  owner_.store(0, std::memory_order_relaxed);
  access::let_go(*this, exclusive);
}

void shared_mutex::unlock_shared() {
  const std::uint64_t number = room_.word.load(std::memory_order_relaxed) >> wait_room::value_shift;
  if (number == 0 || number == exclusive)
    throw_lock_error(std::errc::operation_not_permitted,
                     "weft: shared_mutex unlocked by a reader, and there is none");
  access::let_go(*this, one_reader);
}

void shared_mutex::destroyed_in_use() noexcept {
  detail::end_program("a shared_mutex was destroyed while it was locked or waited for");
}

}  // namespace weft
