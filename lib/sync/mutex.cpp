// See mutex_word.hpp for the protocol; here are the list of waiters and the parking.
#include <weft/mutex.hpp>

#include <system_error>

#include "sync/identity.hpp"
#include "sync/misuse.hpp"
#include "sync/mutex_word.hpp"
#include "sync/wait_queue.hpp"

namespace weft {

namespace detail {
namespace {

[[noreturn]] void throw_lock_error(std::errc code, const char* what) {
  throw std::system_error(std::make_error_code(code), what);
}

}  // namespace
}  // namespace detail

struct mutex::access : detail::mutex_word<std::atomic<std::uintptr_t>> {
  explicit access(mutex& of) noexcept : mutex_word(of.word_, of.heir_, of.passes_), of_(of) {}

  // With the list held.
  detail::sync_list& list() noexcept {
    static_assert(sizeof(detail::sync_list) <= sizeof(mutex::list_));
    if (!of_.list_made_) ::new (static_cast<void*>(of_.list_)) detail::sync_list;
    of_.list_made_ = true;
    return *std::launder(reinterpret_cast<detail::sync_list*>(of_.list_));
  }

  // Joins the list, unless the mutex is to be had. Returns whether it is owned now.
  bool own_or_join(detail::sync_node& node, bool as_heir) noexcept {
    for (detail::short_wait wait;; wait.once()) {
      const entry got = enter(node.owner, as_heir, otherwise::join);
      if (got == entry::owned) return true;
      if (got == entry::at_list) break;
    }
    if (as_heir)
      list().push_front(node);
    else
      list().push_back(node);
    free_list(false);
    return false;
  }

  void leave(detail::sync_node& node) noexcept {
    for (detail::short_wait wait; !try_lock_list();) wait.once();
    if (node.linked()) detail::sync_list::erase(node);
    free_list(list().empty());
  }

  // The owner, with the list held: lets the next one try, or have it.
  void pass_on(detail::release_chain& chain) noexcept {
    detail::sync_node* next = list().pop_front();
    while (next != nullptr && !detail::notify(*next, chain)) next = list().pop_front();
    if (next == nullptr)
      wake(0, false);
    else if (passes >= detail::most_passes || next->in_vain >= detail::most_in_vain)
      hand_over(next->owner, !list().empty());
    else
      wake(next->owner, !list().empty());
  }

  mutex& of_;
};

void mutex::lock() { lock_before(detail::never); }

bool mutex::try_lock() noexcept {
  const std::uintptr_t self = detail::caller_identity();
  return access(*this).enter(self, false, access::otherwise::leave_it) == access::entry::owned;
}

bool mutex::lock_before(std::int64_t deadline) {
  const std::uintptr_t self = detail::caller_identity();
  std::uintptr_t seen = word_.load(std::memory_order_relaxed);
  // Pairs with release().
  if (access::owner_of(seen) == 0 &&
      word_.compare_exchange_strong(seen, seen | self, std::memory_order_acquire,
                                    std::memory_order_relaxed))
    return true;
  return lock_slowly(self, deadline);
}

bool mutex::lock_slowly(std::uintptr_t self, std::int64_t deadline) {
  using otherwise = access::otherwise;
  access me(*this);
  if (access::owner_of(word_.load(std::memory_order_relaxed)) == self)
    detail::throw_lock_error(std::errc::resource_deadlock_would_occur,
                             "weft: mutex locked by the one that has it");
  bool as_heir = false;
  for (unsigned in_vain = 0;; ++in_vain) {
    const bool over = detail::has_passed(deadline);
    if (me.enter(self, as_heir, over ? otherwise::give_up : otherwise::leave_it) ==
        access::entry::owned)
      return true;
    if (over) return false;
    detail::parking wait("mutex", detail::cancellation::ignored);
    detail::sync_node node(&wait.self());
    node.owner = self;
    node.in_vain = in_vain;
    if (me.own_or_join(node, as_heir)) {
      wait.abandon();
      return true;
    }
    if (wait.park_until(deadline) != detail::wake_reason::notified) {
      me.leave(node);
      return me.enter(self, false, otherwise::leave_it) == access::entry::owned;
    }
    node.await_release();
    as_heir = true;
  }
}

void mutex::unlock() {
  const std::uintptr_t self = detail::caller_identity();
  std::uintptr_t seen = self;
  // Pairs with enter().
  if (!word_.compare_exchange_strong(seen, 0, std::memory_order_release, std::memory_order_relaxed))
    unlock_slowly(self);
}

void mutex::unlock_slowly(std::uintptr_t self) {
  access me(*this);
  detail::release_chain chain;
  access::exit how = me.release(self);
  for (detail::short_wait wait; how == access::exit::list_busy; how = me.release(self)) wait.once();
  if (how == access::exit::not_owner)
    detail::throw_lock_error(std::errc::operation_not_permitted,
                             "weft: mutex unlocked by one that does not have it");
  if (how == access::exit::at_list) me.pass_on(chain);
}

bool mutex::owned_by_caller() const noexcept {
  return access::owner_of(word_.load(std::memory_order_relaxed)) == detail::caller_identity();
}

void mutex::destroyed_in_use() noexcept {
  detail::end_program("a mutex was destroyed while it was locked or waited for");
}

void recursive_mutex::lock() { lock_before(detail::never); }

bool recursive_mutex::try_lock() noexcept {
  if (!mutex_.owned_by_caller()) return mutex_.try_lock();
  ++again_;
  return true;
}

bool recursive_mutex::lock_before(std::int64_t deadline) {
  if (!mutex_.owned_by_caller()) return mutex_.lock_before(deadline);
  ++again_;
  return true;
}

void recursive_mutex::unlock() {
  if (mutex_.owned_by_caller() && again_ > 0)
    --again_;
  else
    mutex_.unlock();
}

}  // namespace weft
