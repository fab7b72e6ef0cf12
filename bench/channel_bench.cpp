// What a value costs on its way through a channel: alone on one fiber, between many, and through a
// tree of a million fibers ("skynet"). Floor: a queue behind a lock that nobody else wants, which
// is the least that two sides can share, without anybody who waits.
#include <weft/channel.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <weft/group.hpp>

#include "support.hpp"

namespace {

void channel_floor(benchmark::State& state) {
  std::atomic<bool> lock{false};
  std::deque<int> queue;
  const auto locked = [&lock](const auto& what) {
    while (lock.exchange(true, std::memory_order_acquire)) {
    }
    what();
    lock.store(false, std::memory_order_release);
  };
  for (auto _ : state) {
    locked([&] { queue.push_back(1); });
    locked([&] {
      benchmark::DoNotOptimize(queue.front());
      queue.pop_front();
    });
  }
}

BENCHMARK(channel_floor);

// There and back on one fiber that never parks: the price of the operations themselves.
template <class T>
void channel_buffer(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    const weft::channel<T> ch(16);
    for (auto _ : state) {
      ch.send(T());
      benchmark::DoNotOptimize(ch.recv());
    }
  });
}

BENCHMARK(channel_buffer<int>);
BENCHMARK(channel_buffer<std::unique_ptr<int>>);
BENCHMARK(channel_buffer<std::string>);

// Four fibers send, four receive; a time is that of one value.
void channel_mpmc(benchmark::State& state) {
  const auto workers = static_cast<unsigned>(state.range(0));
  const auto capacity = static_cast<std::size_t>(state.range(1));
  bench::in_fibers(workers, [&] {
    for (auto _ : state) {
      const weft::channel<std::int64_t> ch(capacity);
      weft::group receivers;
      for (int i = 0; i < 4; ++i)
        receivers.go([&] {
          std::int64_t sum = 0;
          for (std::int64_t each : ch) sum += each;
          benchmark::DoNotOptimize(sum);
        });
      weft::group senders;
      for (int i = 0; i < 4; ++i)
        senders.go([&] {
          for (std::int64_t n = 0; n < 25 * bench::many; ++n) ch.send(n);
        });
      senders.wait();
      ch.close();
      receivers.wait();
    }
  });
  state.SetItemsProcessed(state.iterations() * 100 * bench::many);
}

BENCHMARK(channel_mpmc)
    ->ArgNames({"workers", "capacity"})
    ->ArgsProduct({{1, 2}, {0, 1, 128}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void grow(const weft::channel<std::int64_t>& parent, std::int64_t first, std::int64_t leaves) {
  if (leaves == 1) {
    parent.send(first);
    return;
  }
  const weft::channel<std::int64_t> children;
  for (std::int64_t i = 0; i < 10; ++i)
    weft::go(grow, children, first + i * (leaves / 10), leaves / 10).detach();
  std::int64_t sum = 0;
  for (int i = 0; i < 10; ++i) sum += children.recv().value();
  parent.send(sum);
}

void channel_skynet(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    for (auto _ : state) {
      const weft::channel<std::int64_t> root;
      weft::go(grow, root, 0, bench::many * bench::many).detach();
      if (root.recv() != 499'999'500'000) state.SkipWithError("wrong sum");
    }
  });
}

BENCHMARK(channel_skynet)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
