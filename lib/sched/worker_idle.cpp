// The waiting half of a worker: polling, stealing, sleeping. Runs on the thread's own context.
// See worker.hpp and idle.hpp for the rules.
#include <algorithm>
#include <utility>

#include "context/overflow.hpp"
#include "sched/scheduler.hpp"

namespace weft::detail {
namespace {

// A busy worker looks at its poller this often, however short or long its fibers run between two
// switches; the count of switches between two looks at the clock adapts.
constexpr nanos poll_period = 200'000;
constexpr nanos poll_too_late = 1'000'000;
// How often the oldest fresh fiber comes first. Each time a tree of fibers is begun at one more
// place, whose stacks live until it is done.
constexpr nanos oldest_fresh_period = 1'000'000;
constexpr unsigned most_ticks = 64;
constexpr std::size_t shared_batch = 128;
constexpr std::size_t overflow_share = 64;  // at each look: as many as run between two of them
constexpr std::size_t many_timers = 64;
constexpr nanos shared_wake_period = 250'000;

// Waking a core costs both sides some microseconds, and it comes tens of them later. So what a poll
// has brought is shared if it keeps this worker busy for longer, going by how long its fibers have
// run lately. Where that guess is wrong the monitor corrects it.
constexpr nanos worth_a_wake = 100'000;

// From a theft to the next search. A theft with all around it takes about half as long.
constexpr nanos worth_a_theft = 2'000;
constexpr nanos shortest_rest = 1'000;
constexpr unsigned most_thefts_in_vain = 6;  // then it rests for 64 us

constexpr nanos linger_time = 50'000;
constexpr unsigned most_in_vain = 6;  // then 63 posts are slept over

}  // namespace

void worker::run() noexcept {
  signal_stack for_overflows;
  bind_to_this_thread();
  set_current_carrier(this);
  coarse_now = last_poll_ = last_oldest_ = poller_->now();
  expire_timers();
  while (control* next = find_work()) resume_from_main(*next);
  set_current_carrier(nullptr);
}

control* worker::find_work() noexcept {
  while (!home_.finished()) {
    if (control* waiting = std::exchange(stackless_, nullptr)) return waiting;
    if (control* next = look()) {
      found_work();
      return next;
    }
    sleep();
  }
  return nullptr;
}

// Looks everywhere once.
control* worker::look() noexcept {
  if (tick_ == 0)
    if (control* next = look_at_clock()) return next;
  ++tick_;
  if (control* next = pick()) return next;
  if (control* next = take_shared()) return next;
  poll_now();
  if (control* next = pick()) return next;
  if (control* next = search()) return next;
  return linger();
}

// What is due after so many switches or so much time, though there may be work at hand.
control* worker::look_at_clock() noexcept {
  const nanos now = poller_->now();
  const nanos since = now - last_poll_;
  if (since > poll_too_late)
    ticks_per_look_ = ticks_per_look_ > 1 ? ticks_per_look_ / 2 : 1;
  else if (ticks_per_look_ < most_ticks)
    ticks_per_look_ *= 2;
  coarse_now = now;
  if (since >= poll_period) poll_now();
  // At each look: a fiber that yields in a loop would else keep out whatever has overflowed.
  if (control* next = take_shared()) return next;
  return take_oldest_fresh(now);
}

// The oldest fresh fiber, now and then: newest first, it might never have its turn.
control* worker::take_oldest_fresh(nanos now) noexcept {
  if (now - last_oldest_ < oldest_fresh_period) return nullptr;
  last_oldest_ = now;
  if (!backlog_.empty())
    if (control* oldest = backlog_.pop_oldest()) return oldest;
  return fresh_.steal();
}

// A share of what overflowed, or of what is new; the other way round every second time.
control* worker::take_shared() noexcept {
  new_work_first_ = !new_work_first_;
  injector<control>& first = new_work_first_ ? home_.injected() : home_.overflowed();
  injector<control>& second = new_work_first_ ? home_.overflowed() : home_.injected();
  if (control* next = take_from(first, share_of(first))) return next;
  return take_from(second, share_of(second));
}

// With work of its own left, one of the new is enough: the rest would stand before it. But what has
// overflowed is older than that work, and would wait for ever while the poller brings more.
std::size_t worker::share_of(const injector<control>& queue) noexcept {
  if (!has_work_to_share()) return shared_batch;
  return &queue == &home_.overflowed() ? overflow_share : 1;
}

control* worker::take_from(injector<control>& queue, std::size_t most) noexcept {
  const std::size_t waiting = queue.size();
  if (waiting == 0) return nullptr;
  const std::size_t share = waiting / home_.worker_count() + 1;
  auto taken = queue.take(share < most ? share : most);
  control* first = taken.pop();
  if (taken.empty()) return first;
  if (ready_.push_all(taken)) {
    if (!alone_ && ready_.size() > 1) home_.wake_one();
    return first;
  }
  while (control* next = taken.pop()) enqueue_ready(*next);
  return first;
}

control* worker::search() noexcept {
  const unsigned count = home_.worker_count();
  if (count == 1) return nullptr;
  if (!searching_ && !(searching_ = home_.idle().try_search())) return nullptr;
  if (control* next = rest_after_theft()) return next;
  random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;  // xorshift32
  for (unsigned i = 0; i < count; ++i) {
    worker& victim = home_.at((random_ + i) % count);
    if (&victim == this) continue;
    if (control* got = steal_from(victim)) {
      worker_counters::bump(counters_.steals);
      stole_at_ = coarse_now;
      return got;
    }
  }
  return nullptr;
}

// Whoever takes one small fiber after another from the worker that makes them helps nobody: they
// take from each other the lines that both write to, queue and registry, and each fiber costs ten
// times what it cost one of them alone. So a thief that is back too soon leaves the others alone
// for a while, longer each time; what has piled up by then may be worth it. It stays a searcher
// meanwhile, so that no other thief is woken instead.
control* worker::rest_after_theft() noexcept {
  if (stole_at_ == 0) return nullptr;
  const bool paid = coarse_now - stole_at_ >= worth_a_theft;
  stole_at_ = 0;
  thefts_in_vain_ = paid ? 0 : std::min(thefts_in_vain_ + 1, most_thefts_in_vain);
  if (paid || !home_.several_cpus()) return nullptr;
  const nanos end = coarse_now + (shortest_rest << thefts_in_vain_);
  while (coarse_now < end && !inbox_filled_.load(std::memory_order_relaxed)) {
    for (int pause = 0; pause < 8; ++pause) cpu_relax();
    if (control* next = take_shared()) return next;
    coarse_now = poller_->now();
  }
  return nullptr;
}

// A thread that has just given us a fiber to run often waits for it and then gives us the next:
// such a ping-pong is ten times as fast if nobody has to wake us. So wait for it awake, as a
// searcher; but briefly, only after such a gift, and less and less often when nothing comes.
control* worker::linger() noexcept {
  const std::uint64_t posts = home_.posts();
  if (posts == posts_then_) return nullptr;
  posts_then_ = posts;
  if (posts_to_sleep_over_ > 0) {
    --posts_to_sleep_over_;
    return nullptr;
  }
  const nanos end = poller_->now() + linger_time;
  if (timers_.earliest() <= end || !home_.try_linger()) return nullptr;
  control* got = nullptr;
  if (searching_ || (searching_ = home_.idle().try_search())) {
    for (unsigned i = 1; got == nullptr && !inbox_filled_.load(std::memory_order_relaxed); ++i) {
      for (int pause = 0; pause < 8; ++pause) cpu_relax();
      got = take_shared();
      if (got != nullptr || i % 16 != 0) continue;
      poll_now();
      got = pick();
      if (got == nullptr) got = search();
      if (poller_->now() >= end) break;
    }
    lingered_in_vain_ = got != nullptr ? 0 : std::min(lingered_in_vain_ + 1, most_in_vain);
    posts_to_sleep_over_ = (1u << lingered_in_vain_) - 1;
  }
  home_.stop_lingering();
  return got;
}

control* worker::steal_from(worker& victim) noexcept {
  if (control* got = victim.ready_.steal_half(ready_)) return got;
  if (!victim.backlog_.empty())
    if (control* got = adopt_fresh(victim.backlog_.take_oldest())) return got;
  return victim.fresh_.steal();
}

// A searcher that found something stops searching; the last one sees to it that what is left is
// searched for as well.
void worker::found_work() noexcept {
  home_.note_activity();
  if (!searching_) return;
  searching_ = false;
  if (home_.idle().stop_searching() && home_.work_visible()) home_.wake_one();
}

bool worker::anything_to_do() noexcept {
  return home_.finished() || inbox_filled_.load(std::memory_order_seq_cst) ||
         home_.work_visible() || !pinned_.empty();
}

void worker::sleep() noexcept {
  if (searching_) {
    searching_ = false;
    home_.idle().stop_searching();
  }
  home_.idle().publish_asleep(index_);
  const bool found = anything_to_do();  // the last look, after publishing
  if (!found) {
    worker_counters::bump(counters_.sleeps);
    gather(next_alarm());
  }
  if (!home_.idle().retract(index_))
    searching_ = true;  // idle.hpp (4)
  else if (found)
    searching_ = home_.idle().try_search();  // idle.hpp (2): who pushed relied on us
  else
    share_backlog();
}

// When to wake for timers. With many of them armed, several may as well share one wake-up: each
// costs as much as the switches of a hundred fibers.
nanos worker::next_alarm() noexcept {
  const nanos earliest = timers_.earliest();
  if (timers_.size() < many_timers) return earliest;
  const nanos soonest = poller_->now() + shared_wake_period;
  return earliest < soonest ? soonest : earliest;
}

void worker::poll_now() noexcept {
  gather(0);
  share_backlog();
}

// Takes what the poller and the timers have; whether to wake others for it is decided afterwards.
void worker::gather(nanos until) noexcept {
  const std::uint64_t switches = counters_.switches.load(std::memory_order_relaxed);
  if (const std::uint64_t runs = switches - switches_then_) {
    const nanos each = (poller_->now() - last_poll_) / static_cast<nanos>(runs);
    usual_run_ += (each - usual_run_) / 4;
    switches_then_ = switches;
  }
  worker_counters::bump(counters_.polls);
  gathering_ = true;
  poller_->poll(until);
  expire_timers();
  gathering_ = false;
  last_poll_ = coarse_now;
}

void worker::share_backlog() noexcept {
  const std::size_t waiting = queued() + home_.overflowed().size();
  if (waiting > 1 && static_cast<nanos>(waiting) * usual_run_ >= worth_a_wake) home_.wake_one();
}

void worker::expire_timers() noexcept {
  coarse_now = poller_->now();
  if (timers_.wants(coarse_now)) timers_.expire(coarse_now);
}

void worker::rescue() noexcept {
  if (!alone_)  // else nobody could run it
    if (control* stuck = run_next_.exchange(nullptr, std::memory_order_acq_rel))
      home_.submit(*stuck);
  timers_.expire(poller_->now());
  poller_->poll_for_owner();
  if (has_work_to_share()) home_.wake_one();
}

}  // namespace weft::detail
