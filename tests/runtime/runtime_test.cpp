// Starting, stopping, several runtimes, plain threads.
#include <weft/runtime.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Runtime : public weft_test::fiber_fixture {};
FIBER_SUITE(Runtime);

TEST_P(Runtime, PlainThreadsSpawnAndJoin) {
  weft::runtime fibers(how());
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500 / weft_test::slowness; ++i)
        sum += fibers.go([](int x) { return x; }, 1).join();
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(sum, 4 * (500 / weft_test::slowness));
}

TEST_P(Runtime, AThreadMayWaitWithALimit) {
  weft::runtime fibers(how());
  auto slow = fibers.go([] { weft::sleep(1h); });
  EXPECT_FALSE(slow.wait_for(2ms));
  slow.cancel();
  EXPECT_TRUE(slow.wait_for(1h));
  EXPECT_THROW(slow.join(), weft::fiber_cancelled);
}

TEST_P(Runtime, ShutdownCancelsAndIsIdempotent) {
  weft::runtime fibers(how());
  auto slow = fibers.go([] { weft::sleep(1h); });
  fibers.shutdown();
  fibers.shutdown();
  EXPECT_THROW(slow.join(), weft::fiber_cancelled);
  EXPECT_THROW(fibers.go([] {}), std::logic_error);
}

TEST_P(Runtime, ShutdownFromItsOwnFiberIsALogicError) {
  weft::runtime fibers(how());
  fibers.go([&] { EXPECT_THROW(fibers.shutdown(), std::logic_error); }).join();
}

TEST_P(Runtime, TwoRuntimesWaitForEachOther) {
  weft::runtime one(how());
  weft::runtime two(how());
  auto outer = one.go([&] {
    EXPECT_EQ(weft::runtime::current(), &one);
    int sum = 0;
    for (int i = 0; i < 200 / weft_test::slowness; ++i)
      sum += two.go([&] {
                  EXPECT_EQ(weft::runtime::current(), &two);
                  weft::yield();
                  return 1;
                })
                 .join();
    return sum;
  });
  EXPECT_EQ(outer.join(), 200 / weft_test::slowness);
}

TEST_P(Runtime, RunMayBeCalledAgain) {
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(inside([i] { return weft::go([i] { return i; }).join(); }), i);
}

TEST_P(Runtime, RunWorksOnSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([this, t] {
      EXPECT_EQ(weft::run(how(),
                          [t] {
                            weft::sleep(1ms);
                            return t;
                          }),
                t);
    });
  for (auto& t : threads) t.join();
}

TEST_P(Runtime, StatsCountWhatLives) {
  inside([] {
    weft::runtime* here = weft::runtime::current();
    ASSERT_NE(here, nullptr);
    weft::group sleepers;
    for (int i = 0; i < 100; ++i) sleepers.go([] { weft::sleep(1h); });
    while (here->stats().timers < 100) weft::yield();
    const weft::metrics now = here->stats();
    EXPECT_EQ(now.fibers_live, 101u);
    EXPECT_GE(now.fibers_parked, 90u);
    EXPECT_GE(now.stacks_in_use, 101u);
    EXPECT_GE(now.switches, 100u);
    sleepers.cancel();
  });
  EXPECT_EQ(weft::runtime::current(), nullptr);
}

// With one worker, so that nobody takes a fiber while they are counted.
TEST(RuntimeStats, CountFreshFibersAsReadyHoweverManyThereAre) {
  weft::options how;
  how.workers = 1;
  weft::run(how, [] {
    constexpr std::uint64_t count = 1000;
    std::uint64_t wrong = 0;
    weft::group children;
    for (std::uint64_t i = 0; i < count; ++i) {
      children.go([&wrong] {
        const weft::metrics now = weft::runtime::current()->stats();
        if (now.fibers_ready != now.fibers_live - 2 || now.fibers_parked != 1) ++wrong;
      });
    }
    const weft::metrics now = weft::runtime::current()->stats();
    EXPECT_EQ(now.fibers_ready, count);
    EXPECT_EQ(now.fibers_parked, 0u);
    children.wait();
    EXPECT_EQ(wrong, 0u);
  });
}

TEST_P(Runtime, ADumpNamesEveryFiberAndWhatItWaitsFor) {
  const auto expect_all = [](const std::string& text) {
    EXPECT_NE(text.find("\"sleepy\": parked in sleep for"), std::string::npos) << text;
    EXPECT_NE(text.find("\"waiting\": parked in join for"), std::string::npos) << text;
    EXPECT_NE(text.find("\"main\": running or ready"), std::string::npos) << text;
  };
  inside([&] {
    auto sleepy = weft::go(weft::fiber_options{"sleepy"}, [] { weft::sleep(1h); });
    auto waiting = weft::go(weft::fiber_options{"waiting"}, [&] { sleepy.wait(); });
    weft_test::until_parked(2);
    std::ostringstream text;
    while (text.str().find("in join") == std::string::npos ||
           text.str().find("in sleep") == std::string::npos) {
      text.str("");
      weft::dump_fibers(text);
      weft::yield();
    }
    expect_all(text.str());
    std::thread([&] {
      std::ostringstream outside;
      weft::dump_fibers(outside);
      expect_all(outside.str());
    }).join();
    sleepy.cancel();
    waiting.cancel();
  });
}

TEST_P(Runtime, BadOptionsAreRefused) {
  weft::options options;
  options.workers = 100'000;
  EXPECT_THROW(weft::run(options, [] {}), std::invalid_argument);
  options.workers = 1;
  options.stack_bytes = std::size_t{4} << 30;
  EXPECT_THROW(weft::run(options, [] {}), std::invalid_argument);
}

// A fiber that keeps its thread must not keep what waits on that worker's queue, timers or loop.
TEST_P(Runtime, AFiberThatBlocksItsThreadDoesNotStopTheOthers) {
  if (GetParam() == 1) return;  // needs a second worker
  inside([] {
    std::atomic<bool> release{false};
    std::atomic<int> ticks{0};
    weft::group tasks;
    for (int i = 0; i < 20; ++i)
      tasks.go([&] {
        for (int t = 0; t < 5; ++t) {
          weft::sleep(1ms);
          ++ticks;
        }
      });
    tasks.go([&] {
      while (ticks < 100) std::this_thread::yield();  // no parking call: the worker is stuck
      release = true;
    });
    tasks.wait();
    EXPECT_TRUE(release);
  });
}

TEST_P(Runtime, AFairTickerSurvivesSpinningPairs) {
  inside([] {
    std::atomic<bool> over{false};
    weft::group noise;
    for (int i = 0; i < 16; ++i)
      noise.go([&] {
        while (!over) weft::yield();
      });
    for (int i = 0; i < 5; ++i) weft::sleep(2ms);
    over = true;
    noise.wait();
  });
}

// More than a worker's ring holds, so that most of them overflow at any time.
TEST(RuntimeFairness, AThousandThatYieldHaveEqualTurns) {
  weft::options how;
  how.workers = 1;
  weft::run(how, [] {
    constexpr std::size_t count = 1000;
    std::vector<int> turns(count, 0);
    std::size_t begun = 0;
    bool over = false;
    weft::group all;
    for (int& mine : turns)
      all.go([&] {
        ++begun;
        while (begun < count) weft::yield();
        while (!over) {
          ++mine;
          weft::yield();
        }
      });
    const auto sum = [&] { return std::accumulate(turns.begin(), turns.end(), std::size_t{0}); };
    while (sum() < 200 * count) weft::sleep(1ms);
    over = true;
    all.wait();
    const auto [fewest, most] = std::minmax_element(turns.begin(), turns.end());
    EXPECT_LE(*most, 3 * *fewest) << "fewest " << *fewest << ", most " << *most;
  });
}

TEST_P(Runtime, BlockingRunsElsewhereAndBringsBackResultAndException) {
  inside([] {
    const auto worker = std::this_thread::get_id();
    weft::pin_guard stay;
    EXPECT_NE(weft::blocking([] { return std::this_thread::get_id(); }), worker);
    EXPECT_THROW(weft::blocking([] { throw std::domain_error("there"); }), std::domain_error);
    int local = 0;
    weft::blocking([&] { local = 3; });
    EXPECT_EQ(local, 3);
    EXPECT_EQ(&weft::blocking([&]() -> int& { return local; }), &local);
  });
}

TEST_P(Runtime, MoreBlockingCallsThanThreadsQueueUp) {
  weft::options options = how();
  options.blocking_threads = 2;
  weft::run(options, [] {
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    weft::group calls;
    for (int i = 0; i < 20; ++i)
      calls.go([&] {
        weft::blocking([&] {
          const int now = ++at_once;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          std::this_thread::yield();
          --at_once;
        });
      });
    calls.wait();
    EXPECT_LE(most, 2);
  });
}

TEST_P(Runtime, ABlockingCallThatHasBegunIsWaitedFor) {
  inside([] {
    std::promise<void> begun;
    std::promise<void> go_on;
    bool finished = false;
    auto caller = weft::go([&] {
      weft::blocking([&] {
        begun.set_value();
        go_on.get_future().wait();
        finished = true;
      });
      EXPECT_TRUE(finished);
      weft::yield();
    });
    weft::blocking([&] { begun.get_future().wait(); });
    caller.cancel();
    EXPECT_FALSE(caller.wait_for(1ms));
    go_on.set_value();
    EXPECT_THROW(caller.join(), weft::fiber_cancelled);
  });
}

// Whether the job is dropped, waited for or over: its caller comes back, and not before its end.
TEST_P(Runtime, CancellationMeetsBlockingWork) {
  inside([] {
    for (int round = 0; round < 20'000 / weft_test::slowness; ++round) {
      std::atomic<bool> begun{false};
      std::atomic<bool> over{false};
      auto caller = weft::go([&] {
        weft::blocking([&] {
          begun = true;
          for (int i = 0; i < round * 7 % 5000; ++i) over.load();
          over = true;
        });
      });
      if (round % 4 != 0) {
        while (!begun) weft::yield();
      }
      caller.cancel();
      caller.wait();
      ASSERT_EQ(begun, over);
    }
  });
}

// The exit code of a child that is forked and does not exec; f tells whether all is as it should.
template <class F>
int forked(F&& f) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(f() ? 7 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

template <class F>
bool is_logic_error(F&& f) {
  try {
    f();
  } catch (const std::logic_error&) {
    return true;
  }
  return false;
}

TEST(RuntimeDeathTest, AForkedChildIsToldSo) {
  weft::runtime fibers;
  auto sleeper = fibers.go([] { weft::sleep(1h); });
  auto channel = weft::channel<int>(1);
  EXPECT_EQ(forked([&] {
              return is_logic_error([] { weft::run([] {}); }) &&
                     is_logic_error([] { weft::runtime another; }) &&
                     is_logic_error([&] { fibers.go([] {}); }) &&
                     is_logic_error([&] { sleeper.join(); }) &&
                     is_logic_error([&] { channel.recv(); });
            }),
            7);
}

TEST(RuntimeDeathTest, ARuntimeThatEndsInAForkedChildDoesNotHang) {
  auto* fibers = new weft::runtime;
  fibers->go([] { weft::sleep(1h); }).detach();
  EXPECT_EQ(forked([&] {
              fibers->shutdown();
              delete fibers;
              return true;
            }),
            7);
  delete fibers;
}

TEST(RuntimeDeathTest, AForkOfAFiberIsToldSo) {
  weft::run([] {
    auto other = weft::go([] { weft::sleep(1h); });
    const int got = forked([&] {
      return is_logic_error([] { weft::sleep(1ms); }) && is_logic_error([] { weft::go([] {}); }) &&
             is_logic_error([] { weft::yield(); }) && is_logic_error([&] { other.join(); }) &&
             is_logic_error([] { weft::run([] {}); });
    });
    EXPECT_EQ(got, 7);
    if (const pid_t child = fork(); child != 0) {
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_NE(status, 0);
      EXPECT_FALSE(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) << "it hangs";
    } else {
      alarm(20);  // and the fiber returns
    }
    other.cancel();
  });
}

TEST_P(Runtime, SeveralThreadsMayShutDownAtOnce) {
  for (int i = 0; i < 20; ++i) {
    weft::runtime fibers(how());
    fibers.go([] { weft::sleep(1h); });
    std::thread other([&] { fibers.shutdown(); });
    fibers.shutdown();
    other.join();
  }
}

TEST_P(Runtime, TheEndLeavesTheGroupsInsideAShieldAlone) {
  std::atomic<bool> up{false};
  int flushed = 0;
  inside([&] {
    weft::go([&] {
      weft::shield keep;
      auto flush = [&] {
        up = true;
        weft::sleep(1ms);
        return 1;
      };
      auto [a, b] = weft::gather(flush, flush);
      auto [c, d] = weft::gather(flush, flush);  // begun when the end has come
      flushed = a + b + c + d;
    });
    while (!up) weft::yield();
  });
  EXPECT_EQ(flushed, 4);
}

TEST_P(Runtime, WhoIsEndedWhileItJoinsOthersHasNotFailed) {
  std::atomic<int> failed{0};
  weft::options options = how();
  options.on_unhandled = [&](std::string_view, std::exception_ptr) { ++failed; };
  for (int i = 0; i < 10; ++i)
    weft::run(options, [] {
      auto nap = [] {
        weft::sleep(1h);
        return 1;
      };
      for (int k = 0; k < 100; ++k) {
        weft::go([nap] { weft::go(nap).join(); });
        weft::go([nap] { weft::gather(nap, nap); });
        weft::go([nap] { weft::race(nap, nap); });
        weft::go([nap] { weft::map(std::array{1, 2}, [nap](int) { return nap(); }); });
      }
      weft_test::until_parked(400 + 100 + 3 * 200);
    });
  EXPECT_EQ(failed, 0);
}

// A fiber whose handle is gone destroys its own result, and reports its own failure.
TEST_P(Runtime, TheEndWaitsForDestructorsAndHandlersOfEndedFibers) {
  std::atomic<int> destroyed{0}, handled{0}, ran{0}, begun{0};
  weft::options options = how();
  options.on_unhandled = [&](std::string_view, std::exception_ptr) {
    weft::sleep(100us);
    weft::go([&] { ++ran; }).wait();
    ++handled;
  };
  struct parks {
    std::atomic<int>* count;
    explicit parks(std::atomic<int>& c) : count(&c) {}
    parks(parks&& from) noexcept : count(std::exchange(from.count, nullptr)) {}
    ~parks() {
      if (count == nullptr) return;
      weft::sleep(1ms);
      ++*count;
    }
  };
  auto asked_to_stop = [&begun] {
    ++begun;
    weft::shield keep;
    weft::sleep(1ms);
  };
  weft::run(options, [&] {
    for (int i = 0; i < 10; ++i) {
      weft::go([&] {
        asked_to_stop();
        return parks(destroyed);
      });
      weft::go([&] {
        asked_to_stop();
        throw std::runtime_error("nobody joins");
      });
    }
    while (begun < 20) weft::yield();
  });
  EXPECT_EQ(destroyed, 10);
  EXPECT_EQ(handled, 10);
}

}  // namespace
