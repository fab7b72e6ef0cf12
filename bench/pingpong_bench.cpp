// What it costs that two fibers wait for each other in turn: there and back. Floor: two bare jumps.
// "park" is a hand-over of our own on the library's suspend point, as the classes of lib/sync are.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <memory>
#include <mutex>
#include <weft/condition_variable.hpp>
#include <weft/go.hpp>
#include <weft/semaphore.hpp>
#if __has_include(<weft/channel.hpp>)
#include <weft/channel.hpp>
#endif

#include "base/spin_lock.hpp"
#include "fiber/park.hpp"
#include "fiber/wait_list.hpp"
#include "support.hpp"

namespace {

namespace fcontext = boost::context::detail;
using weft::detail::wake_reason;

void pingpong_floor(benchmark::State& state) {
  constexpr std::size_t stack_bytes = 16 * 1024;
  const auto stack = std::make_unique<char[]>(stack_bytes);
  auto other = fcontext::make_fcontext(stack.get() + stack_bytes, stack_bytes,
                                       [](fcontext::transfer_t from) {
                                         for (;;)
                                           from = fcontext::jump_fcontext(from.fctx, nullptr);
                                       });
  for (auto _ : state) other = fcontext::jump_fcontext(other, nullptr).fctx;
}

class baton {
 public:
  void pass() {
    weft::detail::wake_batch woken;
    const std::lock_guard guard(lock_);
    if (!waiters_.claim_one(woken)) here_ = true;
  }

  void take() {
    weft::detail::parking wait("baton");
    weft::detail::wait_node node(wait.self());
    {
      const std::lock_guard guard(lock_);
      if (here_) {
        here_ = false;
        wait.abandon();
        return;
      }
      waiters_.push(node);
    }
    if (wait.park() == wake_reason::notified) return;
    {
      const std::lock_guard guard(lock_);
      weft::detail::wait_list::unlink(node);
    }
    weft::detail::throw_cancelled();
  }

 private:
  weft::detail::spin_lock lock_;
  weft::detail::wait_list waiters_;
  bool here_ = false;
};

void pingpong_park(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    baton there;
    baton back;
    auto other = weft::go([&] {
      for (;;) {
        there.take();
        back.pass();
      }
    });
    for (auto _ : state) {
      there.pass();
      back.take();
    }
    other.cancel();
    other.wait();
  });
}

void pingpong_semaphore(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    weft::binary_semaphore there(0);
    weft::binary_semaphore back(0);
    auto other = weft::go([&] {
      for (;;) {
        there.acquire();
        back.release();
      }
    });
    for (auto _ : state) {
      there.release();
      back.acquire();
    }
    other.cancel();
    other.wait();
  });
}

void pingpong_condition_variable(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    weft::mutex lock;
    weft::condition_variable changed;
    bool there = false;
    auto other = weft::go([&] {
      for (std::unique_lock<weft::mutex> hold(lock);;) {
        changed.wait(hold, [&] { return there; });
        there = false;
        changed.notify_one();
      }
    });
    for (auto _ : state) {
      std::unique_lock<weft::mutex> hold(lock);
      there = true;
      changed.notify_one();
      changed.wait(hold, [&] { return !there; });
    }
    other.cancel();
    other.wait();
  });
}

BENCHMARK(pingpong_floor);
BENCHMARK(pingpong_semaphore)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(pingpong_condition_variable)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(pingpong_park)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

#if __has_include(<weft/channel.hpp>)
void pingpong_channel(benchmark::State& state) {
  bench::in_fibers(static_cast<unsigned>(state.range(0)), [&] {
    const weft::channel<int> there;
    const weft::channel<int> back;
    auto other = weft::go([&] {
      for (int i : there) back.send(i);
    });
    for (auto _ : state) {
      there.send(1);
      benchmark::DoNotOptimize(back.recv());
    }
    there.close();
    other.join();
  });
}

BENCHMARK(pingpong_channel)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
#endif

}  // namespace

BENCHMARK_MAIN();
