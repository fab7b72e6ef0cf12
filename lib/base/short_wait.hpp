// Waiting for what another thread does within a handful of instructions: a pause between two looks,
// and when that takes too long the CPU is given away, for the other one was preempted.
// Any thread. A spin_lock, which many may want at once, has a way of its own.
#pragma once
#include <thread>

namespace weft::detail {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class short_wait {
 public:
  void once() noexcept {
    if (++pauses_ < 100)
      cpu_relax();
    else
      std::this_thread::yield();
  }

 private:
  int pauses_ = 0;
};

}  // namespace weft::detail
