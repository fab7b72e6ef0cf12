// A lock for a handful of instructions: queue links, timer heaps, joiner lists.
// Any thread may take it. Nothing is called under it that can park, throw or call user code.
// (1) It spins briefly, then gives the CPU away, so a holder that the kernel preempted can finish.
// Rejected: std::mutex (40 bytes and two calls through the PLT for three instructions of work).
#pragma once
#include <atomic>
#include <thread>

namespace weft::detail {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class spin_lock {
 public:
  void lock() noexcept {
    while (taken_.exchange(true, std::memory_order_acquire)) wait();  // pairs with unlock()
  }
  bool try_lock() noexcept { return !taken_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }

 private:
  void wait() noexcept {
    // 100 pauses are about the time a holder on another core needs; past that it was preempted.
    for (int spins = 0; taken_.load(std::memory_order_relaxed); ++spins) {
      if (spins < 100)
        cpu_relax();
      else
        std::this_thread::yield();
    }
  }

  std::atomic<bool> taken_{false};
};

}  // namespace weft::detail
