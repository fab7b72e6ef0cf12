// From a plain thread to a fiber and back: the thread blocks for the answer, the fiber's worker has
// nothing else to do. Floor: two threads that block, each in a read of an eventfd.
#include <benchmark/benchmark.h>
#include <sys/eventfd.h>

#include <thread>
#include <weft/channel.hpp>
#include <weft/go.hpp>

#include "support.hpp"

namespace {

void wake_floor(benchmark::State& state) {
  const int there = bench::checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
  const int back = bench::checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
  constexpr eventfd_t question = 1;
  constexpr eventfd_t last = 2;
  std::thread other([&] {
    for (eventfd_t got = 0; got != last;) {
      ::eventfd_read(there, &got);
      ::eventfd_write(back, 1);
    }
  });
  eventfd_t answer = 0;
  for (auto _ : state) {
    ::eventfd_write(there, question);
    ::eventfd_read(back, &answer);
  }
  ::eventfd_write(there, last);
  other.join();
  ::close(there);
  ::close(back);
}

void wake_weft(benchmark::State& state) {
  weft::options options;
  options.workers = static_cast<unsigned>(state.range(0));
  weft::runtime fibers(options);
  const weft::channel<int> there;
  const weft::channel<int> back;
  auto other = fibers.go([&] {
    for (const int each : there) back.send(each);
  });
  for (auto _ : state) {
    there.send(1);
    benchmark::DoNotOptimize(back.recv());
  }
  there.close();
  other.join();
}

BENCHMARK(wake_floor)->UseRealTime();
BENCHMARK(wake_weft)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
