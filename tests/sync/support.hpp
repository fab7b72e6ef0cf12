// Shared by the tests of what fibers and threads share.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace weft_test {

// Runs body(i) in fibers of two runtimes and in plain threads, `each` of either, all at once.
template <class F>
void crowd(const weft::options& how, int each, const F& body) {
  weft::runtime one(how);
  weft::runtime other(how);
  std::vector<weft::fiber<void>> fibers;
  std::vector<std::thread> threads;
  for (int i = 0; i < each; ++i) {
    fibers.push_back(one.go([&body, i] { body(i * 3); }));
    fibers.push_back(other.go([&body, i] { body(i * 3 + 1); }));
    threads.emplace_back([&body, i] { body(i * 3 + 2); });
  }
  for (auto& each_fiber : fibers) each_fiber.join();
  for (auto& thread : threads) thread.join();
}

inline void tiny_pause(unsigned steps) {
  for (; steps > 0; --steps) std::atomic_signal_fence(std::memory_order_seq_cst);
}

// L1: a plain thread wakes an object that its waiter, a fiber, destroys as soon as the wait
// returns. Fewer rounds where others keep the CPUs busy, since the two have to run at once.
template <class T, class Make, class Wake, class Wait>
void destroy_at_once(int rounds, const Make& make, const Wake& wake, const Wait& wait) {
  std::atomic<T*> slot{nullptr};
  std::atomic<bool> over{false};
  std::thread waker([&] {
    for (unsigned i = 0; !over; ++i) {
      T* const object = slot.exchange(nullptr);
      if (object == nullptr) {
        std::this_thread::yield();
        continue;
      }
      tiny_pause(i % 97);
      wake(*object);
    }
  });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  for (int i = 0; i < rounds && std::chrono::steady_clock::now() < until; ++i) {
    std::unique_ptr<T> object = make();
    slot = object.get();
    tiny_pause(static_cast<unsigned>(i) % 61);
    wait(*object);
  }
  over = true;
  weft::blocking([&] { waker.join(); });
}

}  // namespace weft_test
