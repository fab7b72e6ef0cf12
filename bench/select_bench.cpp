// What it costs to wait for the first of several channels. Floor: the same without a choice, to
// send and to receive.
#include <weft/select.hpp>

#include <vector>

#include "support.hpp"

namespace {

using weft::on_recv;

// One of two is ready, so nothing parks.
void select_ready(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    const weft::channel<int> empty;
    const weft::channel<int> full(1);
    int sum = 0;
    auto take = [&](std::optional<int> v) { sum += *v; };
    for (auto _ : state) {
      full.send(1);
      weft::select(on_recv(empty, take), on_recv(full, take));
    }
    benchmark::DoNotOptimize(sum);
  });
}

void select_ready_floor(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    const weft::channel<int> full(1);
    int sum = 0;
    for (auto _ : state) {
      full.send(1);
      sum += *full.recv();
    }
    benchmark::DoNotOptimize(sum);
  });
}

BENCHMARK(select_ready_floor);
BENCHMARK(select_ready);

// There and back, as in pingpong_bench, with a side that selects.
void select_pingpong(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    const weft::channel<int> there;
    const weft::channel<int> back;
    const weft::channel<int> never;
    auto other = weft::go([&] {
      for (bool open = true; open;)
        weft::select(on_recv(never, [](std::optional<int>) {}),
                     on_recv(there, [&](std::optional<int> v) {
                       open = v.has_value();
                       if (open) back.send(*v);
                     }));
    });
    for (auto _ : state) {
      there.send(1);
      benchmark::DoNotOptimize(back.recv());
    }
    there.close();
    other.join();
  });
}

BENCHMARK(select_pingpong)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

// The same with a list of so many channels, to which the values come in turn.
void select_list(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  bench::in_fibers(1, [&] {
    std::vector<weft::channel<int>> inboxes;
    for (std::size_t i = 0; i < count; ++i) inboxes.emplace_back(std::size_t{0});
    const weft::channel<int> back;
    auto other = weft::go([&] {
      bool open = true;
      std::vector<weft::select_case> cases;
      for (const auto& inbox : inboxes)
        cases.push_back(on_recv(inbox, [&](std::optional<int> v) {
          open = v.has_value();
          if (open) back.send(*v);
        }));
      while (open) weft::select(cases);
    });
    std::size_t next = 0;
    for (auto _ : state) {
      inboxes[next++ % count].send(1);
      benchmark::DoNotOptimize(back.recv());
    }
    inboxes[0].close();
    other.join();
  });
}

BENCHMARK(select_list)->ArgName("cases")->Arg(2)->Arg(8)->Arg(64);

}  // namespace

BENCHMARK_MAIN();
