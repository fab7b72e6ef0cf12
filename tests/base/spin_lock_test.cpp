#include "base/spin_lock.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace weft::detail {
namespace {

TEST(SpinLock, OnlyOneThreadIsInside) {
  constexpr int threads = 4;
  constexpr int rounds = 20'000;
  spin_lock lock;
  int inside = 0;
  int overlaps = 0;
  long sum = 0;
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        std::lock_guard<spin_lock> hold(lock);
        if (++inside != 1) ++overlaps;
        ++sum;
        --inside;
      }
    });
  }
  for (std::thread& each : workers) each.join();
  EXPECT_EQ(overlaps, 0);
  EXPECT_EQ(sum, long{threads} * rounds);
}

TEST(SpinLock, TryLockFailsWhileItIsHeldAndTakesItAfterwards) {
  spin_lock lock;
  ASSERT_TRUE(lock.try_lock());
  std::thread([&] { EXPECT_FALSE(lock.try_lock()); }).join();
  lock.unlock();
  std::thread([&] {
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  }).join();
  lock.lock();
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
}

TEST(SpinLock, AWaiterGetsItFromAHolderThatGaveTheCpuAway) {
  spin_lock lock;
  std::atomic<bool> waiting{false};
  bool got = false;
  lock.lock();
  std::thread waiter([&] {
    waiting.store(true);
    std::lock_guard<spin_lock> hold(lock);
    got = true;
  });
  while (!waiting.load()) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) std::this_thread::yield();
  EXPECT_FALSE(got);
  lock.unlock();
  waiter.join();
  EXPECT_TRUE(got);
}

TEST(SpinLock, WhatWasWrittenInsideIsSeenByTheNext) {
  spin_lock lock;
  std::vector<int> shared;  // not atomic: ThreadSanitizer checks the order
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) {
      std::lock_guard<spin_lock> hold(lock);
      shared.push_back(i);
    }
  });
  std::size_t seen = 0;
  while (seen < 1000) {
    std::lock_guard<spin_lock> hold(lock);
    EXPECT_GE(shared.size(), seen);
    seen = shared.size();
  }
  writer.join();
}

}  // namespace
}  // namespace weft::detail
