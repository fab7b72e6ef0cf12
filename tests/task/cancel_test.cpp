// Cancellation, shields and deadlines.
#include <weft/cancel.hpp>

#include <atomic>
#include <exception>
#include <stdexcept>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class Cancel : public weft_test::fiber_fixture {};
FIBER_SUITE(Cancel);
class Timeout : public weft_test::fiber_fixture {};
FIBER_SUITE(Timeout);

TEST_P(Cancel, WakesASleeper) {
  inside([] {
    std::atomic<bool> asleep{false};
    auto sleeper = weft::go([&] {
      asleep = true;
      weft::sleep(1h);
    });
    while (!asleep) weft::yield();
    sleeper.cancel();
    EXPECT_THROW(sleeper.join(), weft::fiber_cancelled);
  });
}

TEST_P(Cancel, BeforeTheStartMeansItNeverRuns) {
  inside([] {
    weft::pin_guard here;  // so that on one worker nothing runs in between
    std::atomic<bool> ran{false};
    auto never = weft::go([&] {
      ran = true;
      weft::sleep(1h);
    });
    never.cancel();
    EXPECT_THROW(never.join(), weft::fiber_cancelled);
    if (GetParam() == 1) {
      EXPECT_FALSE(ran);
    }
  });
}

TEST_P(Cancel, TwiceAndAfterTheEndAreHarmless) {
  inside([] {
    auto quick = weft::go([] { return 1; });
    quick.wait();
    quick.cancel();
    EXPECT_EQ(quick.join(), 1);
    auto sleeper = weft::go([] { weft::sleep(1h); });
    sleeper.cancel();
    sleeper.cancel();
    EXPECT_THROW(sleeper.join(), weft::fiber_cancelled);
    sleeper.cancel();
  });
}

TEST_P(Cancel, IsLevelTriggered) {
  inside([] {
    std::atomic<bool> asleep{false};
    int thrown = 0;
    auto stubborn = weft::go([&] {
      asleep = true;
      for (int i = 0; i < 5; ++i) {
        try {
          weft::sleep(1h);
        } catch (const weft::cancelled&) {
          ++thrown;
        }
      }
      EXPECT_TRUE(weft::cancel_requested());
      EXPECT_THROW(weft::check_cancelled(), weft::cancelled);
      EXPECT_THROW(weft::yield(), weft::cancelled);
      return 7;
    });
    while (!asleep) weft::yield();
    stubborn.cancel();
    EXPECT_EQ(stubborn.join(), 7);  // swallowing it is allowed
    EXPECT_EQ(thrown, 5);
  });
}

TEST_P(Cancel, IsNotAStdException) {
  inside([] {
    auto careless = weft::go([] {
      try {
        weft::sleep(1h);
      } catch (const std::exception&) {
        ADD_FAILURE() << "swallowed";
      }
    });
    weft::yield();
    careless.cancel();
    EXPECT_THROW(careless.join(), weft::fiber_cancelled);
  });
}

TEST_P(Cancel, IsSilentWhileUnwinding) {
  inside([] {
    std::atomic<bool> asleep{false};
    std::atomic<bool> cleaned{false};
    auto tidy = weft::go([&] {
      struct cleanup {
        std::atomic<bool>& done;
        ~cleanup() {
          weft::sleep(1ms);  // would terminate the program if it threw
          weft::yield();
          done = true;
        }
      } at_end{cleaned};
      asleep = true;
      weft::sleep(1h);
    });
    while (!asleep) weft::yield();
    tidy.cancel();
    EXPECT_THROW(tidy.join(), weft::fiber_cancelled);
    EXPECT_TRUE(cleaned);
  });
}

TEST_P(Cancel, AShieldPostponesIt) {
  inside([] {
    std::atomic<bool> inside_shield{false};
    std::atomic<bool> requested{false};
    bool finished = false;
    auto careful = weft::go([&] {
      {
        weft::shield keep;
        inside_shield = true;
        while (!requested) weft::sleep(100us);
        weft::sleep(1ms);
        finished = true;
      }
      weft::sleep(1h);
    });
    while (!inside_shield) weft::yield();
    careful.cancel();
    requested = true;
    EXPECT_THROW(careful.join(), weft::fiber_cancelled);
    EXPECT_TRUE(finished);
  });
}

TEST_P(Cancel, AShieldCoversTheGroupsInsideIt) {
  inside([] {
    std::atomic<bool> up{false};
    std::atomic<bool> requested{false};
    int finished = 0;
    bool outer_child_stopped = false;
    auto parent = weft::go([&] {
      weft::group outside;
      auto other = outside.go([] { weft::sleep(1h); });
      {
        weft::shield keep;
        weft::group within;
        within.go([&] {
          up = true;
          while (!requested) weft::sleep(100us);
          weft::sleep(1ms);
          ++finished;
        });
        within.wait();
        other.wait();  // it lies outside the shield
        outer_child_stopped = true;
      }
      outside.wait();
    });
    while (!up) weft::yield();
    parent.cancel();
    requested = true;
    EXPECT_THROW(parent.join(), weft::fiber_cancelled);
    EXPECT_EQ(finished, 1);
    EXPECT_TRUE(outer_child_stopped);
  });
}

TEST_P(Cancel, ReachesWhoWaitsForAnotherFiber) {
  inside([] {
    auto slow = weft::go([] { weft::sleep(1h); });
    auto waiter = weft::go([&] { slow.wait(); });
    weft::sleep(1ms);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    EXPECT_FALSE(slow.done());
    slow.cancel();
  });
}

TEST_P(Timeout, ThrowsTimedOutAfterTheFunctionHasStopped) {
  inside([] {
    bool unwound = false;
    try {
      weft::with_timeout(2ms, [&] {
        struct mark {
          bool& at;
          ~mark() {
            weft::sleep(1ms);
            at = true;
          }
        } end{unwound};
        weft::sleep(1h);
      });
      ADD_FAILURE() << "no timeout";
    } catch (const weft::timed_out& e) {
      EXPECT_EQ(e.code(), std::errc::timed_out);
    }
    EXPECT_TRUE(unwound);
    weft::sleep(1us);  // the scope has ended, and with it the request
  });
}

TEST_P(Timeout, ReturnsWhatTheFunctionReturns) {
  inside([] {
    EXPECT_EQ(weft::with_timeout(1h, [] { return 4; }), 4);
    int there = 0;
    EXPECT_EQ(&weft::with_timeout(1h, [&]() -> int& { return there; }), &there);
    weft::with_timeout(std::chrono::hours::max(), [] { weft::sleep(10us); });
    EXPECT_THROW(weft::with_timeout(1h, [] { throw std::logic_error("mine"); }), std::logic_error);
  });
}

TEST_P(Timeout, TheEarliestWinsAndItsOwnerConverts) {
  inside([] {
    bool inner_threw = false;
    const auto start = steady_clock::now();
    try {
      weft::with_timeout(3ms, [&] {
        try {
          weft::with_timeout(1h, [] { weft::sleep(2h); });
        } catch (const weft::timed_out&) {
          inner_threw = true;
        }
      });
      ADD_FAILURE() << "no timeout";
    } catch (const weft::timed_out&) {
    }
    EXPECT_FALSE(inner_threw);
    EXPECT_GE(steady_clock::now() - start, 3ms);

    int result = weft::with_timeout(1h, [] {
      try {
        weft::with_timeout(1ms, [] { weft::sleep(1h); });
      } catch (const weft::timed_out&) {
        weft::sleep(1us);  // the outer scope is not affected
        return 1;
      }
      return 0;
    });
    EXPECT_EQ(result, 1);
  });
}

TEST_P(Timeout, APastDeadlineStopsTheFirstParkingCall) {
  inside([] {
    EXPECT_THROW(weft::with_timeout(0s, [] { weft::sleep(1h); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(-1h, [] { weft::yield(); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(std::chrono::nanoseconds::min(), [] { weft::sleep(1h); }),
                 weft::timed_out);
    EXPECT_EQ(weft::with_timeout(0s, [] { return 3; }), 3);  // it did not park
  });
}

TEST_P(Timeout, ReachesAGroupBelow) {
  inside([] {
    std::atomic<int> stopped{0};
    EXPECT_THROW(weft::with_timeout(2ms,
                                    [&] {
                                      weft::group tasks;
                                      for (int i = 0; i < 10; ++i)
                                        tasks.go([&] {
                                          try {
                                            weft::sleep(1h);
                                          } catch (const weft::cancelled&) {
                                            ++stopped;
                                            throw;
                                          }
                                        });
                                      tasks.wait();
                                    }),
                 weft::timed_out);
    EXPECT_LE(stopped, 10);
  });
}

TEST_P(Timeout, CancellationFromOutsideIsNotConverted) {
  inside([] {
    std::atomic<bool> asleep{false};
    bool converted = false;
    auto inner = weft::go([&] {
      try {
        weft::with_timeout(1h, [&] {
          asleep = true;
          weft::sleep(2h);
        });
      } catch (const weft::timed_out&) {
        converted = true;
      }
    });
    while (!asleep) weft::yield();
    inner.cancel();
    EXPECT_THROW(inner.join(), weft::fiber_cancelled);
    EXPECT_FALSE(converted);
  });
}

TEST_P(Timeout, AnyNumberOfDeadlinesMayBeArmedAndDisarmed) {
  inside([] {
    weft::group tasks;
    for (int f = 0; f < 50; ++f)
      tasks.go([f] {
        for (int i = 0; i < 100 / weft_test::slowness; ++i) {
          try {
            weft::with_timeout(std::chrono::microseconds((f * 7 + i) % 200), [&] {
              weft::sleep(std::chrono::microseconds((f * 13 + i * 3) % 200));
            });
          } catch (const weft::timed_out&) {
          }
        }
      });
    tasks.wait();
  });
}

TEST_P(Timeout, IsSeenByWhoOnlyAsks) {
  inside([] {
    EXPECT_THROW(weft::with_timeout(1ms,
                                    [] {
                                      while (!weft::cancel_requested()) {
                                      }
                                      weft::check_cancelled();
                                    }),
                 weft::timed_out);
  });
}

TEST_P(Timeout, ArmsNoTimerForOneLook) {
  inside([] {
    auto timers = [] { return weft::runtime::current()->stats().timers; };
    const auto before = timers();
    weft::with_timeout(1h, [&] {
      weft::check_cancelled();
      EXPECT_EQ(timers(), before);
      weft::with_timeout(2h, [&] {
        weft::check_cancelled();
        EXPECT_EQ(timers(), before + 1) << "the outer deadline was looked at before";
        EXPECT_FALSE(weft::cancel_requested());
        EXPECT_EQ(timers(), before + 2);
      });
    });
    EXPECT_EQ(timers(), before);
  });
}

// For the thread sanitizer: each owner looks at its scope while the other's deadline fires.
TEST_P(Timeout, NestedDeadlinesMayPassTogether) {
  inside([] {
    for (int i = 0; i < 3'000 / weft_test::slowness; ++i) {
      const auto when = steady_clock::now() + 20us;
      EXPECT_THROW(weft::with_deadline(when + std::chrono::nanoseconds(100 * (i % 20)),
                                       [&] {
                                         weft::with_deadline(
                                             when + std::chrono::nanoseconds(100 * (i % 31)),
                                             [] { weft::sleep(1h); });
                                       }),
                   weft::timed_out);
    }
  });
}

}  // namespace
