// A lock for a handful of instructions: queue links, timer heaps, joiner lists.
// Any thread may take it. Nothing is called under it that can park or call user code.
// (1) Who has to wait stays away for longer each time (Anderson 1990). That is no loss: the holder
//     goes on with the line in its cache and does many operations, where looking at each would move
//     the line to and fro for each. Many over one channel, two workers: 17 ns an item instead of
//     64, see docs/decisions.md.
// (2) Then it gives the CPU away, so a holder that the kernel preempted can finish.
// Rejected: std::mutex (40 bytes and two calls through the PLT for three instructions of work).
#pragma once
#include <atomic>
#include <thread>

#include "base/short_wait.hpp"

namespace weft::detail {

class spin_lock {
 public:
  void lock() noexcept {
    while (taken_.exchange(true, std::memory_order_acquire)) wait();  // pairs with unlock()
  }
  bool try_lock() noexcept { return !taken_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }

 private:
  void wait() noexcept {
    unsigned pauses = 8;
    for (int rounds = 0; taken_.load(std::memory_order_relaxed); ++rounds) {
      if (rounds == 10) {  // the holder was preempted, or there are very many of us
        rounds = 0;
        std::this_thread::yield();
        continue;
      }
      for (unsigned i = 0; i < pauses; ++i) cpu_relax();
      if (pauses < 256) pauses *= 2;
    }
  }

  std::atomic<bool> taken_{false};
};

}  // namespace weft::detail
