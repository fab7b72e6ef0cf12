// Threads for calls that block.
#include "reactor/thread_pool.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "support/fixture.hpp"

using weft::detail::thread_pool;
using weft_test::until_parked;

namespace {

using ThreadPool = weft_test::fiber_fixture;
FIBER_SUITE(ThreadPool);

template <class F>
void execute(thread_pool& on, F& f) {
  on.execute([](void* it) noexcept { (*static_cast<F*>(it))(); }, &f);
}

TEST_P(ThreadPool, AJobRunsOnceAndMayFreeItself) {
  struct counted : thread_pool::job {
    explicit counted(std::atomic<int>& at) noexcept : ended(at) {
      run = [](thread_pool::job& self) noexcept {
        const std::unique_ptr<counted> me(static_cast<counted*>(&self));
        ++me->ended;
      };
    }
    std::atomic<int>& ended;
  };
  inside([] {
    std::atomic<int> ended{0};
    thread_pool pool(3);
    for (int i = 0; i < 1000; ++i) pool.submit(*new counted(ended));
    while (ended < 1000) weft::yield();
    EXPECT_EQ(ended, 1000);
  });
}

TEST_P(ThreadPool, NoMoreThreadsThanTheLimitAndNoFewer) {
  inside([] {
    thread_pool pool(4);
    std::atomic<int> inside_now{0};
    std::atomic<int> most{0};
    weft::latch four(4);
    weft::group all;
    for (int i = 0; i < 20; ++i)
      all.go([&] {
        auto work = [&] {
          const int now = ++inside_now;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
          if (!four.try_wait()) four.arrive_and_wait();
          --inside_now;
        };
        execute(pool, work);
      });
    all.wait();
    EXPECT_EQ(most, 4);
  });
}

// Who is cancelled before its function has begun leaves, and it never runs; otherwise it stays.
TEST_P(ThreadPool, CancellationMeetsTheBeginning) {
  inside([] {
    thread_pool pool(2);
    std::atomic<int> ran{0};
    int done = 0;
    for (int round = 0; round < 10'000 / weft_test::slowness; ++round) {
      bool began = false;
      bool over = false;
      auto caller = weft::go([&] {
        auto work = [&] {
          began = true;
          ++ran;
          over = true;
        };
        try {
          execute(pool, work);
        } catch (const weft::cancelled&) {
          EXPECT_FALSE(began);
          return false;
        }
        EXPECT_TRUE(over);
        return true;
      });
      for (int i = 0; i < round % 4; ++i) weft::yield();
      caller.cancel();
      try {
        done += caller.join() ? 1 : 0;
      } catch (const weft::fiber_cancelled&) {
      }
    }
    EXPECT_EQ(ran, done);
  });
}

TEST_P(ThreadPool, WhatHasNotBegunCanBeWithdrawn) {
  inside([] {
    thread_pool pool(1);
    weft::event over;
    auto first = weft::go([&] {
      auto work = [&] { over.wait(); };
      execute(pool, work);
    });
    until_parked(1);
    std::atomic<bool> ran{false};
    struct late : thread_pool::job {
      std::atomic<bool>* ran = nullptr;
    } job;
    job.ran = &ran;
    job.run = [](thread_pool::job& self) noexcept { *static_cast<late&>(self).ran = true; };
    pool.submit(job);
    EXPECT_TRUE(pool.withdraw(job));
    EXPECT_FALSE(pool.withdraw(job));
    over.set();
    first.join();
    EXPECT_FALSE(ran);
  });
}

TEST_P(ThreadPool, WhatDoesNotEndIsLeftBehind) {
  struct stuck : thread_pool::job {
    weft::event begun;
    weft::event go_on;
    weft::event over;
    stuck() {
      run = [](thread_pool::job& self) noexcept {
        auto& me = static_cast<stuck&>(self);
        me.begun.set();
        me.go_on.wait();
        me.over.set();
      };
    }
  } job;
  std::optional<thread_pool> pool(std::in_place, 2u, thread_pool::at_end::leave_behind);
  pool->submit(job);
  job.begun.wait();
  pool.reset();
  EXPECT_FALSE(job.over.is_set());
  job.go_on.set();
  job.over.wait();
}

}  // namespace
