// What it costs to start a fiber and to join it. Floor: to make a context on a stack from a pool,
// to enter it, to leave it, and to give the stack back.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <vector>
#include <weft/go.hpp>

#include "support.hpp"

namespace {

namespace fcontext = boost::context::detail;

void spawn_floor(benchmark::State& state) {
  boost::context::pooled_fixedsize_stack pool(16 * 1024);
  for (auto _ : state) {
    auto stack = pool.allocate();
    const auto fresh = fcontext::make_fcontext(stack.sp, stack.size, [](fcontext::transfer_t from) {
      fcontext::jump_fcontext(from.fctx, {});
    });
    fcontext::jump_fcontext(fresh, nullptr);
    pool.deallocate(stack);
  }
}

void spawn_and_join(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    for (auto _ : state) weft::go([] {}).join();
  });
}

// Every child parks once, so each of them needs a stack of its own.
void spawn_yield_and_join(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    for (auto _ : state) {
      auto child = weft::go([] { weft::yield(); });
      weft::yield();
      child.join();
    }
  });
}

void spawn_many_then_join(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    std::vector<weft::fiber<void>> fibers(bench::many);
    while (state.KeepRunningBatch(bench::many)) {
      for (auto& each : fibers) each = weft::go([] {});
      for (auto& each : fibers) each.join();
    }
  });
}

BENCHMARK(spawn_floor);
BENCHMARK(spawn_and_join)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(spawn_yield_and_join)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(spawn_many_then_join)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
