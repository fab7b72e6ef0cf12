// Who sleeps, who searches, whom to wake.
// Called by workers for themselves and by whoever makes a fiber ready.
//
// (1) A worker publishes "asleep" before its last look at the queues; a submitter pushes before it
//     looks for a sleeper. All four are sequentially consistent, so one of the two sees the other.
// (2) Nobody is woken while a worker searches: it will see the work, or publish and look again.
//     What it finds then, it finds as a searcher.
// (3) A searcher gives up its role before the last look of (1). The last one that finds work wakes
//     the next, if there is more.
// (4) Whoever clears a sleeper's bit owes it one poller wake; it then starts as a searcher.
// (5) A worker wakes nobody while it gathers from its poller and its timers. It runs what they
//     bring itself, so nothing is lost if it then wakes nobody at all: worker::share_backlog().
// Rejected: handing the fiber straight to a sleeper. It loses locality when the submitter parks
// next. Waking at the second fiber that a poll brings: a server under a light load then pays for a
// wake-up, a theft and a sleep at every third request.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

namespace weft::detail {

// Tests pass an Atomic whose every operation a model checker schedules.
template <template <class> class Atomic>
class basic_idle_set {
 public:
  static constexpr unsigned most_workers = 1024;

  explicit basic_idle_set(unsigned workers) noexcept : workers_(workers) {}

  void publish_asleep(unsigned worker) noexcept {
    word(worker).fetch_or(bit(worker), std::memory_order_seq_cst);
  }

  // By the worker itself, when it stops sleeping. False if a waker had cleared it: then the worker
  // already counts as a searcher.
  bool retract(unsigned worker) noexcept {
    return (word(worker).fetch_and(~bit(worker), std::memory_order_seq_cst) & bit(worker)) != 0;
  }

  // Whether there is a sleeper to pick: none if someone searches already or nobody sleeps.
  bool anyone_to_wake() const noexcept {
    return searching_.load(std::memory_order_seq_cst) == 0 && anyone_asleep();
  }

  // Picks one, as a searcher.
  int pick_sleeper() noexcept {
    while (anyone_to_wake()) {
      unsigned nobody = 0;
      if (!searching_.compare_exchange_strong(nobody, 1, std::memory_order_seq_cst)) return -1;
      const int found = claim_any();
      if (found >= 0) return found;
      // All woke by themselves. Meanwhile another submitter may have taken us for a searcher, and a
      // worker may have looked for the last time before that one pushed: so look again.
      searching_.fetch_sub(1, std::memory_order_seq_cst);
    }
    return -1;
  }

  // At most half of the workers search at a time.
  bool try_search() noexcept {
    if (2 * searching_.load(std::memory_order_seq_cst) >= workers_) return false;
    searching_.fetch_add(1, std::memory_order_seq_cst);
    return true;
  }

  // Returns whether this was the last searcher.
  bool stop_searching() noexcept { return searching_.fetch_sub(1, std::memory_order_seq_cst) == 1; }

  bool is_asleep(unsigned worker) const noexcept {
    return (words_[worker / 64].load(std::memory_order_seq_cst) & bit(worker)) != 0;
  }

  bool anyone_asleep() const noexcept {
    for (unsigned at = 0; at * 64 < workers_; ++at)
      if (words_[at].load(std::memory_order_seq_cst) != 0) return true;
    return false;
  }

 private:
  static std::uint64_t bit(unsigned worker) noexcept { return std::uint64_t{1} << (worker % 64); }
  Atomic<std::uint64_t>& word(unsigned worker) noexcept { return words_[worker / 64]; }

  int claim_any() noexcept {
    for (unsigned at = 0; at * 64 < workers_; ++at) {
      std::uint64_t seen = words_[at].load(std::memory_order_seq_cst);
      while (seen != 0) {
        const auto lowest = static_cast<unsigned>(__builtin_ctzll(seen));
        if (words_[at].compare_exchange_weak(seen, seen & (seen - 1), std::memory_order_seq_cst))
          return static_cast<int>(at * 64 + lowest);
      }
    }
    return -1;
  }

  const unsigned workers_;
  alignas(64) Atomic<unsigned> searching_{0};
  alignas(64) std::array<Atomic<std::uint64_t>, most_workers / 64> words_{};
};

using idle_set = basic_idle_set<std::atomic>;

}  // namespace weft::detail
