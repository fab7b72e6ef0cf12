// What it costs to lock and to unlock. Floor: the two atomic steps that every mutex takes at least.
// "contended" is a hundred fibers, or 2 threads, that do nothing but lock, count and unlock, per
// pair. "outside" does some work between two locks as well.
#include <benchmark/benchmark.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>
#include <weft/go.hpp>
#include <weft/mutex.hpp>

#include "support.hpp"

namespace {

constexpr std::int64_t fibers = 100;
constexpr std::int64_t rounds = 10'000;

void mutex_floor(benchmark::State& state) {
  std::atomic<int> word{0};
  for (auto _ : state) {
    int free = 0;
    word.compare_exchange_strong(free, 1, std::memory_order_acquire);
    benchmark::ClobberMemory();
    word.exchange(0, std::memory_order_release);
  }
}

template <class Mutex>
void mutex_uncontended(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    Mutex lock;
    for (auto _ : state) {
      const std::lock_guard<Mutex> hold(lock);
      benchmark::ClobberMemory();
    }
  });
}

void work(std::int64_t steps) {
  for (; steps > 0; --steps) benchmark::DoNotOptimize(steps);
}

void mutex_contended(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    while (state.KeepRunningBatch(fibers * rounds)) {
      weft::mutex lock;
      std::int64_t count = 0;
      std::vector<weft::fiber<void>> all;
      for (std::int64_t i = 0; i < fibers; ++i)
        all.push_back(weft::go([&lock, &count, outside = state.range(1)] {
          for (std::int64_t k = 0; k < rounds; ++k) {
            {
              const std::lock_guard<weft::mutex> hold(lock);
              ++count;
            }
            work(outside);
          }
        }));
      for (auto& each : all) each.join();
      if (count != fibers * rounds) state.SkipWithError("not mutually exclusive");
    }
  });
}

void mutex_std_contended(benchmark::State& state) {
  constexpr std::int64_t threads = 2;
  while (state.KeepRunningBatch(fibers * rounds)) {
    std::mutex lock;
    std::int64_t count = 0;
    std::vector<std::thread> all;
    for (std::int64_t i = 0; i < threads; ++i)
      all.emplace_back([&lock, &count, outside = state.range(0)] {
        for (std::int64_t k = 0; k < fibers * rounds / threads; ++k) {
          {
            const std::lock_guard<std::mutex> hold(lock);
            ++count;
          }
          work(outside);
        }
      });
    for (auto& each : all) each.join();
  }
}

BENCHMARK(mutex_floor);
BENCHMARK(mutex_uncontended<weft::mutex>);
BENCHMARK(mutex_uncontended<std::mutex>);
BENCHMARK(mutex_contended)
    ->ArgNames({"workers", "outside"})
    ->ArgsProduct({{1, 2}, {0, 200}})
    ->UseRealTime();
BENCHMARK(mutex_std_contended)->ArgName("outside")->Arg(0)->Arg(200)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
