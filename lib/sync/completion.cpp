// One result that comes later, waited for by any number of fibers and threads.
// Senders (promise, completer) and receivers are on any thread, fiber or not.
//
// (1) phase goes open -> claimed -> ready, or back to open if storing the value threw. Who moves it
//     from open alone writes the result; a claim that is given back is the one way in which a
//     result can be refused by one sender and another one's be lost.
// (2) ready is published under the lock, and waiters are claimed there: a waiter that found it not
//     ready under that lock is in the list by then.
// (3) Senders share one reference. The last of them to go breaks the promise first, so a waiter
//     without a sender never stays.
// (4) A waiter that leaves, cancelled or late, takes its node off under the lock. The state lives
//     on as long as anybody refers to it, so a late sender writes into live memory.
// (5) Whoever has seen `ready` may drop the future and the promise at once, so the sender that is
//     still publishing keeps a reference of its own.
#include <weft/detail/completion.hpp>

#include <mutex>

#include "fiber/park.hpp"

namespace weft::detail {
namespace {

struct waiters {
  spin_lock lock;
  wait_list list;
};

waiters& waiters_in(unsigned char* room) noexcept {
  return *std::launder(reinterpret_cast<waiters*>(room));
}

}  // namespace

completion::completion() noexcept {
  static_assert(sizeof(waiters) <= sizeof room_);
  ::new (static_cast<void*>(room_)) waiters;
}

completion::~completion() { waiters_in(room_).~waiters(); }

bool completion::claim() noexcept {
  phase expected = phase::open;
  return phase_.compare_exchange_strong(expected, phase::claimed, std::memory_order_acq_rel);
}

void completion::give_claim_back() noexcept {
  phase_.store(phase::open, std::memory_order_release);  // pairs with claim()
}

void completion::publish() noexcept {
  add_reference();  // see (5)
  {
    wake_batch wakes;
    waiters& all = waiters_in(room_);
    std::lock_guard<spin_lock> hold(all.lock);
    phase_.store(phase::ready, std::memory_order_release);  // pairs with ready()
    all.list.claim_all(wakes);
  }
  drop_reference();
}

bool completion::fail(std::exception_ptr error) noexcept {
  if (!claim()) return false;
  error_ = error != nullptr ? std::move(error) : std::make_exception_ptr(std::bad_exception());
  publish();
  return true;
}

bool completion::wait_until(const char* what, std::int64_t deadline) {
  if (ready() || has_passed(deadline)) return ready();
  waiters& all = waiters_in(room_);
  const wake_reason why =
      wait_in_list(all.list, all.lock, what, deadline, [this] { return ready(); });
  if (why == wake_reason::cancelled) throw_cancelled();
  return ready();
}

void completion::drop_sender() noexcept {
  // The last one sees what the others claimed.
  if (senders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (phase_.load(std::memory_order_relaxed) == phase::open)
    fail(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
  drop_reference();
}

void completion::drop_reference() noexcept {
  // The last one sees all that the others wrote.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace weft::detail
