// Any thread. The lock of the queue is taken while the user's lock is held, never the other way
// round.
//
// (1) A waiter joins the queue before it gives up the user's lock, and arms itself after that,
//     since an unlock() of the user's own may park. In between node.who is null. It goes from null
//     to `notified_early` by a notifier, to the waiter's own waitable when it arms, or to `gone`
//     when it has to leave: one compare-exchange decides.
// (2) Who was notified does not touch the object any more, and a notifier does not after it has
//     freed the queue (wait_queue.hpp). So the object may go as soon as everybody was notified.
// (3) But one that timed out or was cancelled has yet to leave the queue, and the user cannot know.
//     If a notifier takes such a one off, it adds it to the number of the object, and the leaver
//     takes itself off that. The destructor waits for those.
// Rejected: a mutex of one's own under shared ownership, as in libstdc++: an allocation for each.
#include <weft/condition_variable.hpp>

#include <exception>
#include <system_error>

#include "fiber/shield.hpp"
#include "sched/worker.hpp"
#include "sync/misuse.hpp"
#include "sync/wait_queue.hpp"

namespace weft::detail {
namespace {

// Marks in node.who.
nobodys_waitable notified_early, gone;

bool notify_waiter(sync_node& node, release_chain& chain) noexcept {
  waitable* nobody = nullptr;
  // Pairs with the compare-exchanges of the waiter: see (1).
  if (node.who.compare_exchange_strong(nobody, &notified_early, std::memory_order_acq_rel)) {
    chain.add(node, false);
    return true;
  }
  return notify(node, chain);
}

bool notify_first(wait_guard& held, release_chain& chain) noexcept {
  while (sync_node* node = held.waiting().pop_front()) {
    if (notify_waiter(*node, chain)) return true;
    ++held.value;  // (3)
  }
  return false;
}

void leave(wait_room& room, sync_node& node) noexcept {
  wait_guard held(room);
  if (node.linked())
    sync_list::erase(node);
  else
    --held.value;  // (3)
}

// Leaves without having armed. False: it was notified before it could.
bool leave_unarmed(wait_room& room, sync_node& node) noexcept {
  waitable* nobody = nullptr;
  if (node.who.compare_exchange_strong(nobody, &gone, std::memory_order_acq_rel)) {
    leave(room, node);
    return true;
  }
  node.await_release();
  return false;
}

// Whether it was notified; throws cancelled. Either way the node is off the queue.
bool park_in(wait_room& room, sync_node& node, nanos deadline) {
  bool armed = false;
  try {
    parking wait("condition_variable");
    if (has_passed(deadline)) {
      wait.abandon();
      return !leave_unarmed(room, node);
    }
    waitable* nobody = nullptr;
    armed = node.who.compare_exchange_strong(nobody, &wait.self(), std::memory_order_acq_rel);
    if (!armed) {
      wait.abandon();
      node.await_release();
      return true;
    }
    const wake_reason why = wait.park_until(deadline);
    if (why == wake_reason::notified) {
      node.await_release();
      return true;
    }
    leave(room, node);
    if (why == wake_reason::cancelled) throw_cancelled();
    return false;
  } catch (...) {
    if (!armed && !leave_unarmed(room, node)) return true;
    throw;
  }
}

}  // namespace

bool condition_base::wait_before(const lock_access& lock, std::int64_t deadline) {
  sync_node node(nullptr);
  {
    wait_guard held(room_);
    held.waiting().push_back(node);
  }
  try {
    lock.release(lock.lock);
  } catch (...) {
    if (!leave_unarmed(room_, node)) notify_one();  // it was meant for one that waits
    throw;
  }
  bool notified = false;
  std::exception_ptr failure;
  try {
    notified = park_in(room_, node, deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const fiber_shield quiet(lock.shielded ? current_fiber() : nullptr);
    lock.regain(lock.lock);
  }
  if (failure != nullptr) std::rethrow_exception(std::move(failure));
  return notified;
}

void condition_base::notify_one() noexcept {
  // A waiter that has given up the user's lock has set the mark before: see (1).
  if ((room_.word.load(std::memory_order_acquire) & wait_room::waiters) == 0) return;
  release_chain chain;
  wait_guard held(room_);
  notify_first(held, chain);
}

void condition_base::notify_all() noexcept {
  if ((room_.word.load(std::memory_order_acquire) & wait_room::waiters) == 0) return;
  release_chain chain;
  wait_guard held(room_);
  while (notify_first(held, chain)) {
  }
}

void condition_base::await_leavers() noexcept {
  std::uint64_t seen = room_.word.load(std::memory_order_acquire);  // pairs with leave()
  for (; seen != 0; seen = room_.word.load(std::memory_order_acquire)) {
    if ((seen & (wait_room::locked | wait_room::waiters)) == wait_room::waiters)
      end_program("a condition_variable was destroyed while somebody waited for it");
    if (current_fiber() != nullptr)
      static_cast<worker*>(current_carrier())->yield();
    else
      std::this_thread::yield();
  }
}

lock_access mutex_access::of(std::unique_lock<mutex>& lock) {
  if (!lock.owns_lock())
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "weft: condition_variable: the lock is not held");
  return {lock.mutex(), [](void* it) { static_cast<mutex*>(it)->unlock(); },
          [](void* it) noexcept { static_cast<mutex*>(it)->lock(); }, false};
}

}  // namespace weft::detail
