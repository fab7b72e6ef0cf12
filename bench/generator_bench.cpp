// What the next value of a generator costs. Floors: the same loop without a generator, and two bare
// jumps between contexts.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <memory>
#include <vector>
#include <weft/generator.hpp>

#include "support.hpp"

namespace {

namespace fcontext = boost::context::detail;

void generator_floor_loop(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(++i);
}

void generator_floor_two_jumps(benchmark::State& state) {
  const std::size_t stack_bytes = 16 * 1024;
  const auto stack = std::make_unique<char[]>(stack_bytes);
  auto other = fcontext::make_fcontext(stack.get() + stack_bytes, stack_bytes,
                                       [](fcontext::transfer_t from) {
                                         int i = 0;
                                         for (;;) from = fcontext::jump_fcontext(from.fctx, &++i);
                                       });
  for (auto _ : state) {
    const auto back = fcontext::jump_fcontext(other, nullptr);
    other = back.fctx;
    benchmark::DoNotOptimize(*static_cast<int*>(back.data));
  }
}

weft::generator<int> endless() {
  return weft::generator<int>([](auto& yield) {
    for (int i = 0;; ++i) yield(i);
  });
}

void take_all(benchmark::State& state, weft::generator<int> from) {
  for (auto _ : state) benchmark::DoNotOptimize(*from.next());
}

void generator_next_on_a_thread(benchmark::State& state) { take_all(state, endless()); }

void generator_next_in_a_fiber(benchmark::State& state) {
  bench::in_fibers(1, [&] { take_all(state, endless()); });
}

weft::generator<int> nested(int depth) {
  if (depth == 0) return endless();
  return weft::generator<int>([depth](auto& yield) { yield.from(nested(depth - 1)); });
}

// Each value comes from so many generators down.
void generator_next_nested(benchmark::State& state) {
  bench::in_fibers(1, [&] { take_all(state, nested(static_cast<int>(state.range(0)))); });
}

// Made, asked for one value, and abandoned.
void generator_whole_life(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) {
      auto short_lived = endless();
      benchmark::DoNotOptimize(*short_lived.next());
    }
  });
}

// Made, asked for its only value and for the end.
void generator_run_to_its_end(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    for (auto _ : state) {
      weft::generator<int> one([](auto& yield) { yield(1); });
      for (int value : one) benchmark::DoNotOptimize(value);
    }
  });
}

BENCHMARK(generator_floor_loop);
BENCHMARK(generator_floor_two_jumps);
BENCHMARK(generator_next_on_a_thread);
BENCHMARK(generator_next_in_a_fiber);
BENCHMARK(generator_next_nested)->ArgName("depth")->Arg(1)->Arg(10);
BENCHMARK(generator_whole_life);
BENCHMARK(generator_run_to_its_end);

}  // namespace

BENCHMARK_MAIN();
