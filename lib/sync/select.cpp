// Waiting for one of several: channels to receive from or send to, fibers to end.
// Called by the one who waits, a fiber or a plain thread.
//
// (1) The cases are tried one by one in random order, each under its own lock. Only if none is
//     ready, all locks are taken at once, in the order of their addresses, and the cases looked at
//     again; then the waiter stands in all queues before any counterpart can look.
// (2) Nobody else takes two of these locks, and a canceller takes none of the channels'. So they
//     cannot deadlock, although a fiber's own lock is among them for on_ready().
// (3) A counterpart is claimed with all locks held and before this waiter stands in any queue: two
//     selects cannot claim each other, and none meets itself on a channel it uses both ways.
// (4) Once woken, the waiter takes each lock again to leave the queues; until then it keeps a
//     handle of each channel and fiber, since whoever served it may drop the others. At most one
//     case has an outcome, for the wait is won once; if none has, the end of a fiber has won it.
// (5) `otherwise` looks at all cases in one moment, with all locks held.
// (6) What has taken place is seen by others once its channel's lock is free, and they may drop all
//     channels then. So that lock is released last, and a core is not touched after it.
// (7) A handle kept by (4) may be the last, and the values that go with it may wait when they are
//     destroyed. So it goes when this waiter stands in no queue any more.
// Rejected: one lock for all channels, which is simple and does not scale; claiming both sides by
// two compare-exchanges, which needs a third state for every wait.
#include <weft/select.hpp>

#include <algorithm>
#include <functional>
#include <mutex>
#include <new>
#include <stdexcept>

#include "fiber/park.hpp"
#include "sync/channel_core.hpp"

namespace weft::detail {
namespace {

static_assert(sizeof(party) <= sizeof select_entry::node);

using kind = select_entry::kind;

spin_lock& lock_of(const select_entry& of) noexcept {
  return of.core != nullptr ? of.core->lock : of.task->lock;
}

party& party_of(select_entry& of) noexcept {
  return *std::launder(reinterpret_cast<party*>(of.node));
}

bool has_ended(const select_entry& of) noexcept {
  return of.task->done.load(std::memory_order_acquire);  // pairs with end_fiber()
}

// A number below the limit. Its state is the worker's, so that it costs no shared cache line.
std::size_t random_below(std::size_t limit) noexcept {
  static std::atomic<std::uint32_t> of_threads{0};
  carrier* here = current_carrier();
  std::uint32_t state = here != nullptr ? here->random : of_threads.load(std::memory_order_relaxed);
  if (state == 0) state = static_cast<std::uint32_t>(steady_now()) | 1;
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;  // xorshift32
  if (here != nullptr)
    here->random = state;
  else
    of_threads.store(state, std::memory_order_relaxed);
  return static_cast<std::size_t>((static_cast<std::uint64_t>(state) * limit) >> 32);
}

// The cases that wait for somebody, without times.
struct case_list {
  select_entry** first;
  std::size_t count;

  select_entry** begin() const noexcept { return first; }
  select_entry** end() const noexcept { return first + count; }
};

// Holds the lock of every case.
class all_locks {
 public:
  explicit all_locks(case_list of) noexcept : of_(of) {
    std::sort(of.begin(), of.end(), [](const select_entry* a, const select_entry* b) {
      return std::less<>()(&lock_of(*a), &lock_of(*b));
    });
    for_each([](spin_lock& each) { each.lock(); });
  }
  all_locks(const all_locks&) = delete;
  all_locks& operator=(const all_locks&) = delete;
  ~all_locks() {
    for_each([this](spin_lock& each) {
      if (&each != last_) each.unlock();
    });
    if (last_ != nullptr) last_->unlock();
  }

  // Keeps the lock of the case that has taken place for last: see (6).
  void keep_for_last(const select_entry& won) noexcept { last_ = &lock_of(won); }

 private:
  template <class F>
  void for_each(F&& visit) {
    const spin_lock* before = nullptr;
    for (const select_entry* each : of_) {
      spin_lock& lock = lock_of(*each);
      if (&lock != before) visit(lock);
      before = &lock;
    }
  }

  const case_list of_;
  spin_lock* last_ = nullptr;
};

// ---- with the case's lock held

bool is_ready(const select_entry& of) noexcept {
  switch (of.what) {
    case kind::recv:
      return of.core->may_take();
    case kind::send:
      return of.core->may_put();
    default:
      return has_ended(of);
  }
}

// May fail although it seemed ready: the counterpart may have been claimed otherwise.
transfer perform(select_entry& of, served_batch& served) noexcept {
  switch (of.what) {
    case kind::recv:
      return of.core->take(of.value, served);
    case kind::send:
      return of.core->put(of.value, served);
    default:
      return has_ended(of) ? transfer::done : transfer::not_now;
  }
}

void join_queue(select_entry& of, waitable& self) noexcept {
  if (of.what == kind::ready) {
    of.task->joiners.push(*::new (static_cast<void*>(of.node)) wait_node(self));
    add_reference(*of.task);
    return;
  }
  party& node = *::new (static_cast<void*>(of.node)) party(self, of.value);
  (of.what == kind::recv ? of.core->receivers : of.core->senders).push(node);
  retain_channel(of.core);
}

// Leaves the queue unless a claimer has taken the case out of it: then its links are the claimer's.
// Returns whether the case may have won: a channel's has, a fiber's end may have come second.
bool leave_queue(select_entry& of) noexcept {
  const std::lock_guard hold(lock_of(of));
  if (of.what == kind::ready ? has_ended(of) : party_of(of).outcome != transfer::not_now)
    return true;
  wait_list::unlink(*std::launder(reinterpret_cast<wait_node*>(of.node)));
  return false;
}

// ---- without any lock

// What a case that has taken place means to the caller.
select_entry& finish(select_entry& won, transfer how) {
  won.closed = how == transfer::closed;
  if (won.closed && won.what == kind::send) throw channel_closed();
  return won;
}

// Tries one case by itself.
transfer attempt(select_entry& of) {
  if (of.what == kind::ready) return has_ended(of) ? transfer::done : transfer::not_now;
  for (;;) {
    transfer result;
    {
      served_batch served;
      const std::lock_guard hold(of.core->lock);
      result = perform(of, served);
    }
    if (result != transfer::must_grow) return result;
    of.core->grow();
  }
}

// Tries them in random order, and so takes each of those that are ready with the same probability.
select_entry* attempt_any(case_list all) {
  for (std::size_t i = 0; i < all.count; ++i) {
    std::swap(all.first[i], all.first[i + random_below(all.count - i)]);
    select_entry& next = *all.first[i];
    const transfer result = attempt(next);
    if (result != transfer::not_now) return &finish(next, result);
  }
  return nullptr;
}

// ---- with all locks held

struct choice {
  select_entry* which = nullptr;
  transfer how = transfer::not_now;
};

choice perform_any(case_list all, served_batch& served) noexcept {
  for (;;) {
    choice random;
    std::size_t ready = 0;
    for (select_entry* each : all)
      if (is_ready(*each) && random_below(++ready) == 0) random.which = each;
    if (random.which == nullptr) return random;
    random.how = perform(*random.which, served);
    if (random.how != transfer::not_now) return random;
  }
}

// ---- waiting

// Leaves all queues, and tells which case has won if one has: see (4) and (7).
choice leave_all(case_list all) noexcept {
  choice won;
  for (select_entry* each : all) {
    const bool taken = leave_queue(*each);
    if (each->core == nullptr) {
      if (taken && won.which == nullptr) won = {each, transfer::done};
      continue;
    }
    if (taken) {
      party_of(*each).await_claimer();
      won = {each, party_of(*each).outcome};
    }
  }
  for (select_entry* each : all) {
    if (each->core != nullptr)
      release_channel(each->core);
    else
      drop_reference(*each->task);
  }
  return won;
}

// Returns the case for the deadline if that has passed; null where a ring had to grow first.
select_entry* wait_for_any(case_list all, nanos deadline, select_entry* at_deadline) {
  parking wait("select");
  choice now;
  {
    served_batch served;
    all_locks hold(all);
    now = perform_any(all, served);
    if (now.which == nullptr) {
      for (select_entry* each : all) join_queue(*each, wait.self());
    } else {
      hold.keep_for_last(*now.which);
      wait.abandon();
    }
  }
  if (now.how == transfer::must_grow) {
    now.which->core->grow();
    return nullptr;
  }
  if (now.which != nullptr) return &finish(*now.which, now.how);

  const wake_reason why = wait.park_until(deadline);
  const choice won = leave_all(all);
  if (why == wake_reason::cancelled) throw_cancelled();
  if (why == wake_reason::timed_out) return at_deadline;
  return &finish(*won.which, won.how);
}

// The cases that are ready in one moment, or none.
select_entry* attempt_at_once(case_list all) {
  for (;;) {
    choice now;
    {
      served_batch served;
      all_locks hold(all);
      now = perform_any(all, served);
      if (now.which != nullptr) hold.keep_for_last(*now.which);
    }
    if (now.which == nullptr) return nullptr;
    if (now.how != transfer::must_grow) return &finish(*now.which, now.how);
    now.which->core->grow();
  }
}

// Sorts the cases: those that wait for somebody into the list, and the times out of it.
struct plan {
  case_list waits;
  select_entry* earliest = nullptr;
  select_entry* otherwise = nullptr;

  plan(select_entry** cases, std::size_t count) : waits{cases + count, 0} {
    if (count == 0)
      throw std::logic_error("weft::select: without a case it would wait for ever; add one");
    for (std::size_t i = 0; i < count; ++i) {
      if (cases[i] == nullptr)
        throw std::logic_error("weft::select: this case has been moved from; put a new one there");
      select_entry& each = *cases[i];
      each.position = i;
      add(each);
    }
  }

  void add(select_entry& each) {
    switch (each.what) {
      case kind::otherwise:
        if (otherwise == nullptr) otherwise = &each;
        return;
      case kind::after:
        if (earliest == nullptr || each.delay < earliest->delay) earliest = &each;
        return;
      case kind::send:
        if (each.spent)
          throw std::logic_error(
              "weft::select: this case has sent its value already; put a new one in its place");
        break;
      case kind::ready:
        if (each.task == current_fiber())
          throw std::logic_error("weft::select: a fiber cannot wait for its own end");
        break;
      case kind::recv:
        break;
    }
    waits.first[waits.count++] = &each;
  }
};

}  // namespace

select_entry& select_one(select_entry** cases, std::size_t count) {
  const plan made(cases, count);
  if (made.otherwise != nullptr) {
    select_entry* won = attempt_at_once(made.waits);
    return won != nullptr ? *won : *made.otherwise;
  }
  control* self = current_fiber();
  if (self != nullptr && self->cancel_pending.load(std::memory_order_relaxed))
    deliver_cancellation(*self);
  if (select_entry* won = attempt_any(made.waits)) return *won;
  nanos deadline = never;
  if (made.earliest != nullptr) {
    if (made.earliest->delay <= 0) return *made.earliest;
    deadline = deadline_in(made.earliest->delay);
  }
  for (;;)
    if (select_entry* won = wait_for_any(made.waits, deadline, made.earliest)) return *won;
}

void retain_task(control* task) noexcept { add_reference(*task); }

}  // namespace weft::detail
