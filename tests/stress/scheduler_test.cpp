// The scheduler under load: nothing is lost, doubled or left behind.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "fiber/park.hpp"
#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::slowness;

class Scheduler : public weft_test::fiber_fixture {};
FIBER_SUITE(Scheduler);

std::size_t resident_bytes() {
  std::size_t pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %zu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

TEST_P(Scheduler, RunsEverySpawnedFiberExactlyOnce) {
  const int spawners = 50;
  const int each = 4'000 / slowness;
  const int threads = 4;
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>((spawners + threads) * each));
  weft::runtime fibers(how());
  std::vector<std::thread> outside;
  for (int t = 0; t < threads; ++t)
    outside.emplace_back([&, t] {
      std::vector<weft::fiber<void>> mine;
      for (int i = 0; i < each; ++i)
        mine.push_back(
            fibers.go([&runs, at = t * each + i] { ++runs[static_cast<std::size_t>(at)]; }));
      for (auto& f : mine) f.join();
    });
  fibers
      .go([&] {
        weft::group all;
        for (int s = 0; s < spawners; ++s)
          all.go([&, s] {
            weft::group mine;
            for (int i = 0; i < each; ++i)
              mine.go([&runs, at = (threads + s) * each + i] {
                if (at % 3 == 0) weft::yield();
                ++runs[static_cast<std::size_t>(at)];
              });
            mine.wait();
          });
        all.wait();
      })
      .join();
  for (auto& t : outside) t.join();
  for (auto& count : runs) ASSERT_EQ(count, 1);
}

TEST_P(Scheduler, StealsWorkThatWaits) {
  if (GetParam() != 2) return;  // one worker has no thief; eight share two cores unevenly
  inside([] {
    std::mutex lock;
    std::map<std::thread::id, int> by_thread;
    // However long the other thread is kept from running: in the end it takes its share.
    int least = 0;
    while (least < 100) {
      weft::group tasks;
      for (int i = 0; i < 200; ++i)
        tasks.go([&] {
          volatile int work = 0;
          for (int k = 0; k < 50'000; ++k) work = work + 1;
          std::lock_guard<std::mutex> hold(lock);  // no parking call inside
          ++by_thread[std::this_thread::get_id()];
        });
      tasks.wait();
      if (by_thread.size() < 2) continue;
      least = INT_MAX;
      for (auto& [thread, ran] : by_thread) least = std::min(least, ran);
    }
  });
}

// Wakes at random moments around the park, from fibers and from a plain thread.
TEST_P(Scheduler, AWakeAroundAParkIsNeverLost) {
  inside([] {
    const int rounds = 20'000 / slowness;
    std::atomic<weft::detail::waitable*> slot{nullptr};
    std::thread waker([&] {
      std::minstd_rand random(42);
      for (int i = 0; i < rounds; ++i) {
        weft::detail::waitable* who = nullptr;
        while ((who = slot.exchange(nullptr)) == nullptr) std::this_thread::yield();
        for (auto k = random() % 200; k > 0; --k)
          std::atomic_signal_fence(std::memory_order_seq_cst);
        EXPECT_TRUE(weft::detail::wake(*who));
      }
    });
    for (int i = 0; i < rounds; ++i) {
      weft::detail::parking wait("test");
      slot = &wait.self();
      EXPECT_EQ(wait.park(), weft::detail::wake_reason::notified);
    }
    weft::blocking([&] { waker.join(); });
  });
}

TEST_P(Scheduler, HandsOverBetweenPairsWithoutLosingAnyone) {
  inside([] {
    const int rounds = 4'000 / slowness;
    weft::group pairs;
    for (int p = 0; p < 64; ++p)
      pairs.go([=] {
        int sum = 0;
        for (int i = 0; i < rounds; ++i) {
          auto other = weft::go([i] {
            if (i % 2 == 0) weft::yield();
            return 1;
          });
          if (i % 3 == 0) weft::yield();
          sum += other.join();
        }
        EXPECT_EQ(sum, rounds);
      });
    pairs.wait();
  });
}

TEST_P(Scheduler, StartsAndStopsManyTimesWithTimersInFlight) {
  for (int i = 0; i < 100 / slowness + 5; ++i)
    inside([] {
      for (int k = 0; k < 20; ++k) weft::go([k] { weft::sleep(1us * k * k * k); }).detach();
      weft::blocking([] {});
      weft::sleep(50us);
    });
}

TEST_P(Scheduler, GivesMemoryBackAfterManyFibers) {
  if (slowness > 1) return;  // sanitizers keep memory of their own
  inside([] {
    const std::size_t before = resident_bytes();
    std::size_t peak = 0;
    {
      std::atomic<int> parked{0};
      weft::group many;
      for (int i = 0; i < 50'000; ++i)
        many.go([&] {
          ++parked;
          weft::sleep(1h);
        });
      while (parked < 50'000) weft::yield();
      peak = resident_bytes();
      many.cancel();
      many.wait();
    }
    // A page each; but a fifth of what the test before had may still have been there.
    EXPECT_GT(peak - before, std::size_t{50'000} * 3000);
    // The monitor trims about once a second, half of what stayed unused at a time at least.
    for (int i = 0; i < 60 && resident_bytes() > before + (peak - before) / 5; ++i)
      weft::sleep(100ms);
    EXPECT_LT(resident_bytes(), before + (peak - before) / 5);
  });
}

TEST_P(Scheduler, IsIdleWhenAllSleep) {
  inside([] {
    weft::group sleepers;
    for (int i = 0; i < 1'000; ++i) sleepers.go([] { weft::sleep(1h); });
    weft::sleep(1500ms);  // until the monitor rests as well
    const double before = cpu_seconds();
    weft::sleep(1s);
    EXPECT_LT(cpu_seconds() - before, 0.01 * slowness);
    sleepers.cancel();
  });
}

}  // namespace
