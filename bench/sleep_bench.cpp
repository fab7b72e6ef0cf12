// What sleeping costs: CPU time for a thousand fibers that sleep a millisecond again and again,
// each with a timer armed, fired and a fiber woken; and how late one fiber is that sleeps 100 us.
// Floors: the same with the timers of libuv, and a thread in clock_nanosleep().
#include <benchmark/benchmark.h>
#include <time.h>
#include <uv.h>

#include <chrono>
#include <vector>
#include <weft/go.hpp>
#include <weft/time.hpp>

#include "support.hpp"

using namespace std::chrono_literals;

namespace {

void report_each(benchmark::State& state, std::int64_t sleeps) {
  state.counters["sleeps"] =
      benchmark::Counter(static_cast<double>(sleeps), benchmark::Counter::kIsRate);
  state.counters["cpu_each"] = benchmark::Counter(
      static_cast<double>(sleeps), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// One iteration is one round of the first timer; the others go on beside it.
void many_sleeps_floor(benchmark::State& state) {
  struct clock {
    uv_timer_t timer;
    std::int64_t fired = 0;
  };
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<clock> clocks(bench::many);
  for (clock& each : clocks) {
    uv_timer_init(&loop, &each.timer);
    each.timer.data = &each;
    uv_timer_start(
        &each.timer, [](uv_timer_t* timer) { ++static_cast<clock*>(timer->data)->fired; }, 1, 1);
  }
  for (auto _ : state) {
    for (const std::int64_t before = clocks[0].fired; clocks[0].fired == before;) {
      uv_run(&loop, UV_RUN_ONCE);
    }
  }
  std::int64_t sleeps = 0;
  for (clock& each : clocks) {
    sleeps += each.fired;
    uv_close(reinterpret_cast<uv_handle_t*>(&each.timer), nullptr);
  }
  report_each(state, sleeps);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

void many_sleeps_weft(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    std::int64_t sleeps = 0;
    std::vector<weft::fiber<void>> others;
    for (std::int64_t i = 1; i < bench::many; ++i) {
      others.push_back(weft::go([&] {
        for (;; ++sleeps) weft::sleep(1ms);
      }));
    }
    for (auto _ : state) {
      weft::sleep(1ms);
      ++sleeps;
    }
    report_each(state, sleeps);
    for (auto& each : others) each.cancel();
    for (auto& each : others) each.wait();
  });
}

void one_sleep_floor(benchmark::State& state) {
  const timespec wanted{0, 100'000};
  for (auto _ : state) ::clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, nullptr);
}

void one_sleep_weft(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) weft::sleep(100us);
  });
}

BENCHMARK(many_sleeps_floor)->MeasureProcessCPUTime();
BENCHMARK(many_sleeps_weft)->MeasureProcessCPUTime();
BENCHMARK(one_sleep_floor)->UseRealTime();
BENCHMARK(one_sleep_weft)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
