// The timers of one worker: a wheel for what is far off, a heap for what is due within a
// millisecond; both through links in the timers, so that nothing is allocated.
// Its own worker arms; any thread disarms; its worker, or the monitor when that worker is stuck,
// lets it expire.
//
// (1) A waiter is claimed under the lock, so that disarm(), which takes it too, is a barrier: after
//     it no claim of this timer can hit a later wait (waitable.hpp (4)).
// (2) A scope is cancelled outside the lock, since that may take long; its timer is `firing`
//     meanwhile and disarm() waits for the end.
// (3) Never early: an entry expires when its deadline is at or before the clock that was read.
// (4) What is due before horizon_ stands in the heap, all else in the wheel. The horizon is a
//     multiple of a slot, just ahead of the clock that expire() was given last.
// (5) Level n of the wheel has slots of 2^(20 + 6n) ns. A timer stands on the lowest level whose
//     slots, counted from the horizon's own, still reach it. On levels above 0 the horizon's own
//     slot is empty: when the horizon gets to a slot, its timers go further down.
// Rejected: a heap alone. Moving an entry wrote its new place into a timer that lies in the page of
// a parked fiber: a sixth of the CPU time of 100,000 sleeps, all of it cache misses. A wheel alone
// rounds deadlines. One uv_timer a sleep: milliseconds, and only its loop's thread may stop it.
#pragma once
#include <array>
#include <atomic>

#include "base/spin_lock.hpp"
#include "fiber/timer.hpp"

namespace weft::detail {

class timer_queue {
 public:
  void add(timer& entry) noexcept;
  void disarm(timer& entry) noexcept;

  // Fires what is due; returns how many. Resumes fibers, so never call it under a lock.
  std::size_t expire(nanos now) noexcept;

  // Whether it is time for expire(): something is due, or the horizon has fallen behind.
  bool wants(nanos now) const noexcept { return now >= look_at_.load(std::memory_order_acquire); }

  // When to wake up: not after the earliest deadline. Before it, once, where a timer was disarmed
  // that was the first of its slot.
  nanos earliest() const noexcept { return earliest_.load(std::memory_order_acquire); }
  std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr unsigned levels = 8;
  static constexpr unsigned slots_of_first = 1024;
  static constexpr unsigned slots_of_rest = 64;
  static constexpr unsigned slot_count = slots_of_first + (levels - 1) * slots_of_rest;
  static constexpr unsigned first_shift = 20;
  static constexpr unsigned shift_step = 6;
  static constexpr nanos unit = nanos{1} << first_shift;

  // Several lists, so that emptying a slot waits for several cache misses at a time.
  static constexpr unsigned chains = 4;

  struct slot {
    std::array<timer*, chains> first{};
    nanos least = never;  // no deadline in here is before it
  };

  // A slot that is not empty: which, and when it begins.
  struct found_slot {
    unsigned level = levels;  // none
    unsigned index = 0;       // into slots_
    nanos start = never;
  };

  static unsigned shift_of(unsigned level) noexcept { return first_shift + level * shift_step; }
  static unsigned begin_of(unsigned level) noexcept {
    return level == 0 ? 0 : slots_of_first + (level - 1) * slots_of_rest;
  }

  void insert(timer& item) noexcept;
  void put_into_wheel(timer& item) noexcept;
  void take_out_of_wheel(timer& item) noexcept;
  bool is_filled(unsigned index) const noexcept {
    return (filled_[index / 64] >> (index % 64) & 1) != 0;
  }
  void flip_filled(unsigned index) noexcept {
    filled_[index / 64] ^= std::uint64_t{1} << (index % 64);
  }
  void take_out(timer& item) noexcept;
  found_slot first_on(unsigned level) const noexcept;
  found_slot first_slot() const noexcept;
  void empty_slot(const found_slot& from) noexcept;
  bool advance(nanos now) noexcept;
  timer* take_due(nanos now) noexcept;
  nanos find_earliest() const noexcept;
  void publish(nanos earliest) noexcept;

  spin_lock lock_;
  timer* near_ = nullptr;  // root of a pairing heap
  nanos horizon_ = unit;
  std::size_t armed_ = 0;
  unsigned next_chain_ = 0;
  std::array<slot, slot_count> slots_{};
  std::array<std::uint64_t, slot_count / 64> filled_{};  // a bit for each slot that is not empty
  std::atomic<nanos> earliest_{never};  // written under lock_, read by the sleeping protocol
  std::atomic<nanos> look_at_{0};
  std::atomic<std::size_t> count_{0};
};

}  // namespace weft::detail
