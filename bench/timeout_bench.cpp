// What a deadline costs around a call. Nearly all deadlines never pass, and many calls under one do
// not even park. Floor: the call alone; and for a call that parks, the same without the deadline,
// and arming and stopping one timer of libuv.
#include <benchmark/benchmark.h>
#include <uv.h>

#include <chrono>
#include <weft/cancel.hpp>
#include <weft/go.hpp>

#include "support.hpp"

using namespace std::chrono_literals;

namespace {

int call() {
  int value = 1;
  benchmark::DoNotOptimize(value);
  return value;
}

// Parks until a fiber, which is ready already, has ended.
int call_that_parks() {
  return weft::go([] { return call(); }).join();
}

void call_floor(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(call());
}

void call_with_timeout(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft::with_timeout(1h, call));
  });
}

void uv_timer_floor(benchmark::State& state) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  for (auto _ : state) {
    uv_timer_start(
        &timer, [](uv_timer_t*) {}, 3'600'000, 0);
    uv_timer_stop(&timer);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

void parking_call_floor(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(call_that_parks());
  });
}

void parking_call_with_timeout(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft::with_timeout(1h, call_that_parks));
  });
}

BENCHMARK(call_floor);
BENCHMARK(call_with_timeout);
BENCHMARK(uv_timer_floor);
BENCHMARK(parking_call_floor);
BENCHMARK(parking_call_with_timeout);

}  // namespace

BENCHMARK_MAIN();
