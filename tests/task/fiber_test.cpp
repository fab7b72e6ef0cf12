// Handles: what join, wait, detach, cancel and destruction do in every state of a fiber.
#include <signal.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Fiber : public weft_test::fiber_fixture {};
FIBER_SUITE(Fiber);

TEST_P(Fiber, JoinGivesTheResult) {
  inside([] {
    auto sum = weft::go([](int a, int b) { return a + b; }, 2, 3);
    EXPECT_EQ(sum.join(), 5);
  });
}

TEST_P(Fiber, RunReturnsWhatItsFunctionReturns) {
  EXPECT_EQ(inside([] { return std::string("done"); }), "done");
}

TEST_P(Fiber, RunThrowsWhatItsFunctionThrows) {
  EXPECT_THROW(inside([] { throw std::range_error("out"); }), std::range_error);
}

TEST_P(Fiber, JoinRethrowsWhatTheFiberThrew) {
  inside([] {
    auto bad = weft::go([]() -> int { throw std::runtime_error("no luck"); });
    try {
      bad.join();
      ADD_FAILURE() << "join did not throw";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "no luck");
    }
  });
}

TEST_P(Fiber, MoveOnlyCallablesArgumentsAndResultsWork) {
  inside([] {
    auto owned = std::make_unique<int>(7);
    auto moved =
        weft::go([mine = std::make_unique<int>(1)](
                     std::unique_ptr<int> got) { return std::make_unique<int>(*mine + *got); },
                 std::move(owned));
    EXPECT_EQ(*moved.join(), 8);
  });
}

TEST_P(Fiber, ReferenceResultsReferToTheOriginal) {
  inside([] {
    int there = 1;
    auto ref = weft::go([&there]() -> int& { return there; });
    ref.join() = 5;
    EXPECT_EQ(there, 5);
  });
}

TEST_P(Fiber, JoiningTwiceIsALogicError) {
  inside([] {
    auto once = weft::go([] { return 1; });
    once.join();
    EXPECT_THROW(once.join(), std::logic_error);
    EXPECT_TRUE(once.done());
  });
}

TEST_P(Fiber, JoiningOneselfIsALogicError) {
  inside([] {
    weft::fiber<void> self;
    std::atomic<bool> ready{false};
    self = weft::go([&] {
      while (!ready) weft::yield();
      EXPECT_THROW(self.join(), std::logic_error);
      EXPECT_THROW(self.wait(), std::logic_error);
    });
    ready = true;
    self.wait();
  });
}

TEST_P(Fiber, AnEmptyHandleIsALogicError) {
  weft::fiber<int> none;
  EXPECT_FALSE(none);
  EXPECT_THROW(none.join(), std::logic_error);
  EXPECT_THROW(none.wait(), std::logic_error);
  EXPECT_THROW(none.wait_for(1ms), std::logic_error);
  EXPECT_THROW(none.cancel(), std::logic_error);
  EXPECT_THROW(static_cast<void>(none.done()), std::logic_error);
  EXPECT_THROW(static_cast<void>(none.id()), std::logic_error);
  none.detach();
}

TEST_P(Fiber, FiberOnlyCallsOutsideAFiberAreLogicErrors) {
  EXPECT_FALSE(weft::in_fiber());
  EXPECT_THROW(weft::go([] {}), std::logic_error);
  EXPECT_THROW(weft::yield(), std::logic_error);
  EXPECT_THROW(weft::sleep(1ms), std::logic_error);
  EXPECT_THROW(weft::group(), std::logic_error);
  EXPECT_THROW(weft::with_timeout(1s, [] {}), std::logic_error);
  EXPECT_THROW(weft::shield(), std::logic_error);
  EXPECT_THROW(weft::blocking([] {}), std::logic_error);
  EXPECT_THROW(weft::this_fiber::id(), std::logic_error);
  EXPECT_THROW(weft::pin_guard(), std::logic_error);
}

TEST_P(Fiber, RunInsideAFiberIsALogicError) {
  inside([] { EXPECT_THROW(weft::run([] {}), std::logic_error); });
}

TEST_P(Fiber, DestroyingTheHandleDetaches) {
  inside([] {
    std::atomic<int> ran{0};
    {
      auto gone = weft::go([&] { ++ran; });
    }
    auto assigned = weft::go([&] { ++ran; });
    assigned = weft::go([&] { ++ran; });
    assigned.join();
    while (ran != 3) weft::yield();
  });
}

TEST_P(Fiber, ManyMayWaitForOne) {
  inside([] {
    std::atomic<bool> open{false};
    auto gate = weft::go([&] {
      while (!open) weft::sleep(1ms);
      return 9;
    });
    weft::group waiters;
    for (int i = 0; i < 20; ++i) waiters.go([&gate] { gate.wait(); });
    open = true;
    waiters.wait();
    EXPECT_EQ(gate.join(), 9);
  });
}

TEST_P(Fiber, WaitForSaysWhetherItEnded) {
  inside([] {
    auto slow = weft::go([] { weft::sleep(1h); });
    EXPECT_FALSE(slow.wait_for(2ms));
    EXPECT_FALSE(slow.wait_for(0ms));
    EXPECT_FALSE(slow.wait_for(-1h));
    slow.cancel();
    EXPECT_TRUE(slow.wait_for(std::chrono::hours::max()));
    EXPECT_THROW(slow.join(), weft::fiber_cancelled);
  });
}

TEST_P(Fiber, IdsAreUniqueAndNamesAreKept) {
  inside([] {
    EXPECT_EQ(weft::this_fiber::name(), "main");
    auto named = weft::go(weft::fiber_options{"worker bee"}, [] {
      EXPECT_EQ(weft::this_fiber::name(), "worker bee");
      weft::this_fiber::set_name("queen");
      EXPECT_EQ(weft::this_fiber::name(), "queen");
      return weft::this_fiber::id();
    });
    auto other = weft::go([] { return weft::this_fiber::id(); });
    const auto id = named.id();
    EXPECT_NE(id, other.id());
    EXPECT_EQ(named.join(), id);
  });
}

TEST_P(Fiber, AnExceptionNobodyCanReceiveGoesToTheHandler) {
  std::atomic<int> calls{0};
  weft::options options = how();
  options.on_unhandled = [&calls](std::string_view name, std::exception_ptr what) {
    EXPECT_EQ(name, "lost");
    EXPECT_THROW(std::rethrow_exception(what), std::runtime_error);
    ++calls;
  };
  weft::run(options, [&calls] {
    weft::go(weft::fiber_options{"lost"}, [] { throw std::runtime_error("x"); }).detach();
    while (calls == 0) weft::yield();
    auto waited = weft::go(weft::fiber_options{"lost"}, [] { throw std::runtime_error("x"); });
    waited.wait();  // ended, but never joined
    auto joined = weft::go([] { throw std::runtime_error("x"); });
    EXPECT_THROW(joined.join(), std::runtime_error);
  });
  EXPECT_EQ(calls, 2);
}

TEST(FiberDeathTest, TheDefaultHandlerNamesFiberAndExceptionAndAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      weft::run([] {
        weft::go(weft::fiber_options{"doomed"}, [] { throw std::runtime_error("why"); }).wait();
      }),
      "doomed.*why");
}

// Sanitizers report overflows themselves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if !defined(__clang__)
__attribute__((noinline)) int dig_for_ever(volatile char* above) {
  volatile char frame[512];
  frame[0] = above[0];
  if (frame[0] == 0) return 0;  // never, but the compiler cannot know
  return dig_for_ever(frame) + frame[0];
}

TEST(FiberDeathTest, AStackOverflowNamesTheFiberAndIsASegfault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto overflow = [] {
    weft::run([] {
      weft::go(weft::fiber_options{"bottomless", 16 * 1024}, [] {
        volatile char top[1] = {1};
        return dig_for_ever(top);
      }).join();
    });
  };
  EXPECT_EXIT(overflow(), testing::KilledBySignal(SIGSEGV),
              "stack overflow in fiber [0-9]+ .bottomless.: its stack has 1[0-9] KiB");
}

TEST(FiberDeathTest, AnotherFaultGoesToTheHandlerOfTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto fault = [] {
    struct sigaction mine {};
    mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
    mine.sa_sigaction = [](int, siginfo_t* info, void*) {
      _exit(info->si_addr == reinterpret_cast<void*>(0x10) ? 9 : 1);
    };
    sigaction(SIGSEGV, &mine, nullptr);
    weft::run([] {
      weft::go([] {
        char* volatile nowhere = reinterpret_cast<char*>(0x10);
        *nowhere = 1;
      }).join();
    });
  };
  EXPECT_EXIT(fault(), testing::ExitedWithCode(9), "");
}
#endif
#endif

TEST_P(Fiber, HandlesMayOutliveTheRuntime) {
  weft::fiber<int> done;
  weft::fiber<void> stopped;
  inside([&] {
    done = weft::go([] { return 3; });
    done.wait();
    stopped = weft::go([] { weft::sleep(1h); });
    weft::yield();
  });
  EXPECT_EQ(done.join(), 3);
  EXPECT_TRUE(stopped.done());
  EXPECT_THROW(stopped.join(), weft::fiber_cancelled);
}

TEST_P(Fiber, RunEndsTheRest) {
  std::atomic<int> unwound{0};
  inside([&] {
    struct count {
      std::atomic<int>& at;
      ~count() { ++at; }
    };
    for (int i = 0; i < 100; ++i)
      weft::go([&unwound] {
        count on_exit{unwound};
        weft::sleep(1h);
      }).detach();
    for (int i = 0; i < 100; ++i)  // and fibers that start more while they end
      weft::go([] {
        try {
          weft::sleep(1h);
        } catch (...) {
          weft::go([] { weft::sleep(1h); }).detach();
          throw;
        }
      }).detach();
    weft::sleep(1ms);
  });
  EXPECT_LE(unwound, 100);
}

TEST_P(Fiber, ADeepStackOfAnotherSizeWorks) {
  inside([] {
    auto deep = weft::go(weft::fiber_options{"deep", 8 << 20}, [] {
      struct dig {
        static int down(int n) {
          volatile char frame[4096];
          frame[0] = static_cast<char>(n);
          return n == 0 ? 0 : down(n - 1) + (frame[0] != 127 ? 1 : 1);
        }
      };
      return dig::down(1500 / weft_test::slowness);
    });
    EXPECT_EQ(deep.join(), 1500 / weft_test::slowness);
    EXPECT_THROW(weft::go(weft::fiber_options{"huge", std::size_t{2} << 30}, [] {}),
                 std::invalid_argument);
  });
}

TEST_P(Fiber, APinnedFiberStaysOnItsThread) {
  inside([] {
    weft::group noise;
    for (int i = 0; i < 8; ++i)
      noise.go([] {
        for (;;) weft::yield();
      });
    weft::group pinned;
    for (int i = 0; i < 8; ++i)
      pinned.go([] {
        weft::pin_guard stay;
        const auto thread = std::this_thread::get_id();
        for (int turn = 0; turn < 200; ++turn) {
          if (turn % 20 == 0)
            weft::sleep(10us);
          else
            weft::yield();
          EXPECT_EQ(std::this_thread::get_id(), thread);
        }
      });
    pinned.wait();
    noise.cancel();
  });
}

TEST_P(Fiber, YieldLetsOthersRun) {
  inside([] {
    std::atomic<bool> flag{false};
    auto other = weft::go([&] { flag = true; });
    while (!flag) weft::yield();
    other.join();
  });
}

// New fibers come before old ones that have not begun, but not for ever.
TEST_P(Fiber, AnOldOneBeginsThoughNewOnesKeepComing) {
  inside([] {
    constexpr int many = 600;  // more than a worker's queue holds
    std::atomic<int> begun{0};
    for (int i = 0; i < many; ++i) weft::go([&] { ++begun; }).detach();
    while (begun < 5) {
      std::atomic<bool> seen{false};
      weft::go([&] { seen = true; }).join();
      EXPECT_TRUE(seen);
    }
    while (begun < many) weft::yield();
  });
}

}  // namespace
