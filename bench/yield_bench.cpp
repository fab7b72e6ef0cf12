// What it costs to let the next fiber run. Floor: bare jump_fcontext() from context to context.
//
// jump_fcontext() saves and restores the floating-point control word. Some processors are slow to
// load a changed one, and an inexact result is enough to change it, since it sets a flag there. So
// each case is measured with no fiber, every second one, and all of them doing such work, from
// clear flags on: for us the three should be equal everywhere.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <cfenv>
#include <cstdint>
#include <memory>
#include <vector>
#include <weft/go.hpp>

#include "support.hpp"

namespace {

namespace fcontext = boost::context::detail;

enum floating : std::int64_t { nobody, every_second, everybody };

bool works(std::int64_t who, std::int64_t i) {
  return who == everybody || (who == every_second && i % 2 == 1);
}

// Contexts in a circle; number 0 is the thread's own.
class ring {
 public:
  ring(std::int64_t n, std::int64_t who) : at_(static_cast<std::size_t>(n)), who_(who) {
    std::feclearexcept(FE_ALL_EXCEPT);
    for (std::size_t i = 1; i < at_.size(); ++i) {
      stacks_.push_back(std::make_unique<char[]>(stack_bytes));
      at_[i] =
          fcontext::make_fcontext(stacks_.back().get() + stack_bytes, stack_bytes, &ring::main);
    }
    current() = this;
  }

  void go_round() {
    jump_from(0);
    if (works(who_, 0)) number_ = bench::inexact(number_);
  }

 private:
  static constexpr std::size_t stack_bytes = 16 * 1024;

  static ring*& current() {
    static ring* one = nullptr;
    return one;
  }

  // Each jump brings along where to note the place that it came from.
  void jump_from(std::size_t i) {
    const auto came = fcontext::jump_fcontext(at_[(i + 1) % at_.size()], &at_[i]);
    *static_cast<fcontext::fcontext_t*>(came.data) = came.fctx;
  }

  static void main(fcontext::transfer_t came) {
    ring& self = *current();
    auto* from = static_cast<fcontext::fcontext_t*>(came.data);
    *from = came.fctx;
    const auto me = static_cast<std::size_t>(from - self.at_.data()) + 1;
    const bool work = works(self.who_, static_cast<std::int64_t>(me));
    for (double number = 1;;) {
      self.jump_from(me);
      if (work) number = bench::inexact(number);
    }
  }

  std::vector<fcontext::fcontext_t> at_;
  std::vector<std::unique_ptr<char[]>> stacks_;
  std::int64_t who_;
  double number_ = 1;
};

void yield_floor(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  ring contexts(n, state.range(1));
  while (state.KeepRunningBatch(n)) contexts.go_round();
}

void yield_weft(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  const std::int64_t who = state.range(1);
  bench::in_fibers(1, [&] {
    bool over = false;
    std::vector<weft::fiber<void>> others;
    for (std::int64_t i = 1; i < n; ++i) {
      others.push_back(weft::go([&over, work = works(who, i)] {
        std::feclearexcept(FE_ALL_EXCEPT);
        double number = 1;
        while (!over) {
          weft::yield();
          if (work) number = bench::inexact(number);
        }
      }));
    }
    std::feclearexcept(FE_ALL_EXCEPT);
    double number = 1;
    while (state.KeepRunningBatch(n)) {
      weft::yield();
      if (works(who, 0)) number = bench::inexact(number);
    }
    over = true;
    for (auto& each : others) each.join();
  });
}

void cases(benchmark::internal::Benchmark* of) {
  of->ArgNames({"fibers", "floating"});
  for (const std::int64_t n : {std::int64_t{2}, bench::many}) {
    for (const std::int64_t who : {nobody, every_second, everybody}) of->Args({n, who});
  }
}

BENCHMARK(yield_floor)->Apply(cases);
BENCHMARK(yield_weft)->Apply(cases);

}  // namespace

BENCHMARK_MAIN();
