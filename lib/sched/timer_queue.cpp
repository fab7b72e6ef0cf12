// See timer_queue.hpp.
#include "sched/timer_queue.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>

#include "base/assert.hpp"
#include "fiber/scope.hpp"
#include "fiber/waitable.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t batch = 64;  // fired between two turns of the lock
constexpr std::uint16_t in_heap = UINT16_MAX;
constexpr nanos horizon_slack = nanos{1} << 26;  // so far it may fall behind while nothing is due

// ---- a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986), earliest at the root

timer* meld(timer* a, timer* b) noexcept {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  if (b->deadline < a->deadline) std::swap(a, b);
  b->next = a->child;
  b->prev = a;
  if (a->child != nullptr) a->child->prev = b;
  a->child = b;
  return a;
}

// Makes one heap of siblings: pairs from the left, then all of them from the right.
timer* meld_siblings(timer* first) noexcept {
  timer* pairs = nullptr;
  while (first != nullptr) {
    timer* a = first;
    timer* b = a->next;
    first = b != nullptr ? b->next : nullptr;
    a->next = nullptr;
    if (b != nullptr) b->next = nullptr;
    timer* pair = meld(a, b);
    pair->next = pairs;
    pairs = pair;
  }
  timer* root = nullptr;
  while (pairs != nullptr) {
    timer* pair = pairs;
    pairs = std::exchange(pair->next, nullptr);
    root = meld(root, pair);
  }
  return root;
}

timer* without(timer* root, timer& item) noexcept {
  timer* orphans = meld_siblings(std::exchange(item.child, nullptr));
  if (root == &item) return orphans;
  if (item.prev->child == &item)
    item.prev->child = item.next;
  else
    item.prev->next = item.next;
  if (item.next != nullptr) item.next->prev = item.prev;
  return meld(root, orphans);
}

}  // namespace

// ---- the wheel

void timer_queue::insert(timer& item) noexcept {
  item.next = item.prev = item.child = nullptr;
  if (item.deadline < horizon_) {
    item.place = in_heap;
    near_ = meld(near_, &item);
  } else {
    put_into_wheel(item);
  }
}

void timer_queue::put_into_wheel(timer& item) noexcept {
  unsigned level = 0;
  unsigned slots = slots_of_first;
  while ((item.deadline >> shift_of(level)) - (horizon_ >> shift_of(level)) >= slots) {
    ++level;
    slots = slots_of_rest;
  }
  const auto turn = static_cast<unsigned>(item.deadline >> shift_of(level)) & (slots - 1);
  const unsigned index = begin_of(level) + turn;
  slot& into = slots_[index];
  if (is_filled(index)) {
    into.least = std::min(into.least, item.deadline);
  } else {
    flip_filled(index);
    into.least = item.deadline;
  }
  const unsigned chain = next_chain_++ % chains;
  item.next = std::exchange(into.first[chain], &item);
  if (item.next != nullptr) item.next->prev = &item;
  item.place = static_cast<std::uint16_t>(index * chains + chain);
}

void timer_queue::take_out_of_wheel(timer& item) noexcept {
  if (item.next != nullptr) item.next->prev = item.prev;
  if (item.prev != nullptr) {
    item.prev->next = item.next;
    return;
  }
  const unsigned index = item.place / chains;
  auto& first = slots_[index].first;
  first[item.place % chains] = item.next;
  if (std::all_of(first.begin(), first.end(), [](timer* each) { return each == nullptr; }))
    flip_filled(index);
}

void timer_queue::take_out(timer& item) noexcept {
  if (item.place == in_heap)
    near_ = without(near_, item);
  else
    take_out_of_wheel(item);
  --armed_;
}

// The next slot of the level that is not empty, counted from the horizon.
timer_queue::found_slot timer_queue::first_on(unsigned level) const noexcept {
  const unsigned slots = level == 0 ? slots_of_first : slots_of_rest;
  const nanos turns = horizon_ >> shift_of(level);
  const unsigned from = static_cast<unsigned>(turns) & (slots - 1);
  const unsigned words = slots / 64;
  const std::uint64_t* filled = &filled_[begin_of(level) / 64];
  for (unsigned i = 0; i <= words; ++i) {
    const unsigned word = (from / 64 + i) % words;
    std::uint64_t bits = filled[word];
    const std::uint64_t before = (std::uint64_t{1} << (from % 64)) - 1;
    if (i == 0) bits &= ~before;
    if (i == words) bits &= before;
    if (bits == 0) continue;
    const unsigned turn = word * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
    const nanos ahead = (turn - from) & (slots - 1);
    return {level, begin_of(level) + turn, (turns + ahead) << shift_of(level)};
  }
  return {};
}

// The one that begins first; of several that do, the one on the highest level.
timer_queue::found_slot timer_queue::first_slot() const noexcept {
  found_slot best;
  for (unsigned level = 0; level < levels; ++level) {
    const found_slot found = first_on(level);
    if (found.level != levels && found.start <= best.start) best = found;
  }
  return best;
}

void timer_queue::empty_slot(const found_slot& from) noexcept {
  auto chain = std::exchange(slots_[from.index].first, {});
  flip_filled(from.index);
  for (bool more = true; more;) {
    more = false;
    for (timer*& first : chain) {
      if (first == nullptr) continue;
      timer* item = std::exchange(first, first->next);
      __builtin_prefetch(first, 1);
      insert(*item);
      more = true;
    }
  }
}

// Moves the horizon ahead of the clock, or to the first slot on its way. False if it got there.
bool timer_queue::advance(nanos now) noexcept {
  const nanos target = saturating_add(now / unit * unit, unit);
  const found_slot next = first_slot();
  const bool reached = next.level == 0 ? next.start < target : next.start <= target;
  if (next.level == levels || !reached) {
    horizon_ = std::max(horizon_, target);
    return false;
  }
  horizon_ = std::max(horizon_, next.level == 0 ? saturating_add(next.start, unit) : next.start);
  empty_slot(next);
  return true;
}

timer* timer_queue::take_due(nanos now) noexcept {
  while (near_ == nullptr)
    if (!advance(now)) return nullptr;
  if (near_->deadline > now) return nullptr;
  timer* due = near_;
  take_out(*due);
  return due;
}

nanos timer_queue::find_earliest() const noexcept {
  if (armed_ == 0) return never;
  if (near_ != nullptr) return near_->deadline;
  nanos least = never;
  for (unsigned level = 0; level < levels; ++level) {
    const found_slot found = first_on(level);
    if (found.level != levels) least = std::min(least, slots_[found.index].least);
  }
  return least;
}

void timer_queue::publish(nanos earliest) noexcept {
  earliest_.store(earliest, std::memory_order_release);
  look_at_.store(std::min(earliest, saturating_add(horizon_, horizon_slack)),
                 std::memory_order_release);
  count_.store(armed_, std::memory_order_relaxed);
}

// ---- what others see

void timer_queue::add(timer& item) noexcept {
  std::lock_guard<spin_lock> hold(lock_);
  item.queue = this;
  item.state.store(timer::phase::armed, std::memory_order_relaxed);
  insert(item);
  ++armed_;
  publish(std::min(earliest(), item.deadline));
}

void timer_queue::disarm(timer& item) noexcept {
  for (;;) {
    {
      std::lock_guard<spin_lock> hold(lock_);
      const timer::phase state = item.state.load(std::memory_order_acquire);
      if (state == timer::phase::armed) {
        take_out(item);
        publish(armed_ > 0 && item.deadline > earliest() ? earliest() : find_earliest());
        item.state.store(timer::phase::idle, std::memory_order_relaxed);
        return;
      }
      if (state == timer::phase::idle) return;
    }
    std::this_thread::yield();  // firing on another thread: until its store below
  }
}

std::size_t timer_queue::expire(nanos now) noexcept {
  std::size_t fired = 0;
  for (bool more = wants(now); more;) {
    std::array<timer*, batch> due;
    std::array<waitable*, batch> wakes;
    std::size_t due_count = 0;
    std::size_t wake_count = 0;
    timer* scopes = nullptr;
    {
      std::lock_guard<spin_lock> hold(lock_);
      while (due_count < batch) {
        timer* next = take_due(now);
        if (next == nullptr) break;
        due[due_count++] = next;
        __builtin_prefetch(next->waiter, 1);  // all of them at once, before the claims
      }
      for (std::size_t i = 0; i < due_count; ++i) {
        timer& entry = *due[i];
        if (entry.scope != nullptr) {
          entry.state.store(timer::phase::firing, std::memory_order_relaxed);
          entry.next = scopes;
          scopes = &entry;
          continue;
        }
        waitable& who = *entry.waiter;
        entry.state.store(timer::phase::idle, std::memory_order_relaxed);
        if (try_claim(who, wake_reason::timed_out) == claim::must_resume)
          wakes[wake_count++] = &who;
      }
      publish(find_earliest());
    }
    fired += due_count;
    more = due_count == batch;
    for (std::size_t i = 0; i < wake_count; ++i) resume(*wakes[i]);
    while (scopes != nullptr) {
      timer& entry = *scopes;
      scopes = entry.next;
      request_cancel(*entry.scope);
      entry.state.store(timer::phase::idle, std::memory_order_release);  // pairs with disarm()
    }
  }
  return fired;
}

}  // namespace weft::detail
