// Groups and gather: no child outlives the scope on any path.
#include <weft/cancel.hpp>
#include <weft/gather.hpp>
#include <weft/latch.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Group : public weft_test::fiber_fixture {};
FIBER_SUITE(Group);
class GroupOnOneWorker : public weft_test::fiber_fixture {};
INSTANTIATE_TEST_SUITE_P(Workers, GroupOnOneWorker, testing::Values(1u), weft_test::workers_name);
class Gather : public weft_test::fiber_fixture {};
FIBER_SUITE(Gather);

TEST_P(Group, WaitsForAllChildren) {
  inside([] {
    int results[50] = {};
    weft::group tasks;
    for (int i = 0; i < 50; ++i)
      tasks.go([&results, i] {
        weft::sleep(std::chrono::microseconds(i * 10));
        results[i] = i;
      });
    tasks.wait();
    for (int i = 0; i < 50; ++i) EXPECT_EQ(results[i], i);
    tasks.wait();  // nothing left, nothing to do
  });
}

TEST_P(Group, TheFirstFailureCancelsTheSiblingsAndIsRethrown) {
  inside([] {
    std::atomic<int> alive{0};
    weft::group tasks;
    for (int i = 0; i < 10; ++i)
      tasks.go([&] {
        struct count {
          std::atomic<int>& at;
          explicit count(std::atomic<int>& a) : at(a) { ++at; }
          ~count() { --at; }
        } life{alive};
        weft::sleep(1h);
      });
    tasks.go([] {
      weft::sleep(1ms);
      throw std::runtime_error("first");
    });
    EXPECT_THROW(tasks.wait(), std::runtime_error);
    EXPECT_EQ(alive, 0);
    tasks.wait();  // once
  });
}

TEST_P(Group, TheDestructorCancelsAndJoins) {
  inside([] {
    std::atomic<int> ended{0};
    std::atomic<int> begun{0};
    struct count {
      std::atomic<int>& at;
      ~count() { ++at; }
    };
    {
      weft::group tasks;
      for (int i = 0; i < 20; ++i)
        tasks.go([&] {
          ++begun;
          count on_exit{ended};
          weft::sleep(1h);
        });
      while (begun < 10) weft::yield();
    }
    EXPECT_EQ(begun, ended);
    try {
      weft::group tasks;
      tasks.go([&] {
        ++begun;
        count on_exit{ended};
        weft::sleep(1h);
      });
      weft::yield();
      throw std::runtime_error("the parent fails");
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(begun, ended);
  });
}

TEST_P(Group, ChildrenStartedAfterCancelStartCancelled) {
  inside([] {
    weft::group tasks;
    tasks.cancel();
    auto late = tasks.go([] { weft::sleep(1h); });
    tasks.wait();
    EXPECT_THROW(late.join(), weft::fiber_cancelled);
  });
}

TEST_P(Group, ChildrenMayStartSiblings) {
  inside([] {
    std::atomic<int> ran{0};
    weft::group tasks;
    for (int i = 0; i < 8; ++i)
      tasks.go([&] {
        tasks.go([&] {
          tasks.go([&] { ++ran; });
          ++ran;
        });
        ++ran;
      });
    tasks.wait();
    EXPECT_EQ(ran, 24);
  });
}

TEST_P(Group, CancellationOfTheParentReachesGrandchildren) {
  inside([] {
    std::atomic<int> alive{0};
    std::atomic<int> begun{0};
    auto parent = weft::go([&] {
      weft::group tasks;
      for (int i = 0; i < 3; ++i)
        tasks.go([&] {
          weft::group inner;
          for (int k = 0; k < 3; ++k)
            inner.go([&] {
              struct life {
                std::atomic<int>& at;
                explicit life(std::atomic<int>& a) : at(a) { ++at; }
                ~life() { --at; }
              } mine{alive};
              ++begun;
              weft::sleep(1h);
            });
          inner.wait();
        });
      tasks.wait();
    });
    while (begun < 9) weft::yield();
    parent.cancel();
    EXPECT_THROW(parent.join(), weft::fiber_cancelled);
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(Group, AFailureNobodyWaitsForGoesToTheHandler) {
  std::atomic<int> reported{0};
  weft::options options = how();
  options.on_unhandled = [&](std::string_view, std::exception_ptr) { ++reported; };
  weft::run(options, [] {
    weft::group tasks;
    auto bad = tasks.go([] { throw std::runtime_error("unheard"); });
    bad.wait();
  });
  EXPECT_EQ(reported, 1);
}

TEST_P(Group, ADeadlineAroundTheWaitAloneLeavesTheChildrenRunning) {
  inside([] {
    std::atomic<bool> go_on{false};
    weft::group tasks;
    auto child = tasks.go([&] {
      while (!go_on) weft::sleep(100us);
      return 5;
    });
    EXPECT_THROW(weft::with_timeout(1ms, [&] { tasks.wait(); }), weft::timed_out);
    EXPECT_FALSE(child.done());
    go_on = true;
    tasks.wait();
    EXPECT_EQ(child.join(), 5);
  });
}

TEST_P(Group, MayBeDestroyedRightAfterWait) {
  inside([] {
    for (int i = 0; i < 5'000 / weft_test::slowness; ++i) {
      auto tasks = std::make_unique<weft::group>();
      tasks->go([] {});
      tasks->go([] { weft::yield(); });
      tasks->wait();
    }
  });
}

TEST_P(Group, ALimitHoldsBackTheNextChild) {
  inside([] {
    std::atomic<int> inside_now{0}, most{0}, ran{0};
    weft::group tasks;
    tasks.set_limit(3);
    for (int i = 0; i < 50; ++i)
      tasks.go([&] {
        const int now = ++inside_now;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        weft::yield();
        --inside_now;
        ++ran;
      });
    tasks.wait();
    EXPECT_EQ(ran, 50);
    EXPECT_LE(most, 3);
    EXPECT_THROW(tasks.set_limit(0), std::invalid_argument);
  });
}

TEST_P(Group, ManyFibersMayWaitForRoomAndOneOfThemMayGiveUp) {
  inside([] {
    std::atomic<int> ran{0};
    std::atomic<bool> open{false};
    weft::group tasks;
    tasks.set_limit(1);
    tasks.go([&] {
      while (!open) weft::sleep(1ms);
    });
    std::vector<weft::fiber<void>> starters;
    for (int i = 0; i < 10; ++i) starters.push_back(weft::go([&] { tasks.go([&] { ++ran; }); }));
    weft_test::until_parked(10);
    for (std::size_t i = 0; i < 10; i += 2) starters[i].cancel();
    open = true;
    int cancelled = 0;
    for (auto& each : starters) {
      try {
        each.join();
      } catch (const weft::fiber_cancelled&) {
        ++cancelled;
      }
    }
    tasks.wait();
    EXPECT_EQ(ran + cancelled, 10);
    EXPECT_GE(ran, 5);
  });
}

TEST_P(Group, ACancelledGroupHoldsNobodyBack) {
  inside([] {
    weft::group tasks;
    tasks.set_limit(1);
    tasks.go([] {
      weft::shield stay;
      weft::sleep(5ms);
    });
    tasks.cancel();
    EXPECT_TRUE(tasks.is_cancelled());
    auto late = tasks.go([] { FAIL() << "it must not begin"; });
    tasks.wait();
    EXPECT_THROW(late.join(), weft::fiber_cancelled);
  });
}

TEST_P(Group, LaterFailuresAreReportedUnlessTheirHandleIsJoined) {
  std::atomic<int> reported{0};
  std::string name;
  weft::options options = how();
  options.on_also_failed = [&](std::string_view who, std::exception_ptr what) {
    ++reported;
    name = who;
    EXPECT_THROW(std::rethrow_exception(what), std::invalid_argument);
  };
  weft::run(options, [&] {
    auto late = [] {
      try {
        weft::sleep(1h);
      } catch (const weft::cancelled&) {
        throw std::invalid_argument("while being stopped");
      }
    };
    weft::group tasks;
    tasks.go(weft::fiber_options{"loser"}, late);
    auto joined = tasks.go(late);
    tasks.go([] {
      weft_test::until_parked(3);
      throw std::runtime_error("first");
    });
    EXPECT_THROW(tasks.wait(), std::runtime_error);
    EXPECT_THROW(joined.join(), std::invalid_argument);
  });
  EXPECT_EQ(reported, 1);
  EXPECT_EQ(name, "loser");
}

TEST_P(Group, CancelLetsThroughWhoWaitsForRoom) {
  inside([] {
    std::atomic<bool> through{false};
    weft::group tasks;
    tasks.set_limit(1);
    tasks.go([&] {  // gives no room before the starter is through
      weft::shield stay;
      while (!through) weft::yield();
    });
    auto starter = weft::go([&] {
      tasks.go([] {});
      through = true;
    });
    weft_test::until_parked(1);
    tasks.cancel();
    starter.join();
    tasks.wait();
  });
}

TEST_P(GroupOnOneWorker, ACompletionThatCameBeforeTheCancellationStays) {  // in a known order
  inside([] {
    bool waiting = false, completed = false;
    weft::fiber<void> child;
    auto parent = weft::go([&] {
      weft::pin_guard later;  // pinned, it is resumed after the other one that waits for the child
      weft::group tasks;
      child = tasks.go([] { weft::sleep(1ms); });
      waiting = true;
      tasks.wait();
      completed = true;
    });
    while (!waiting) weft::yield();
    child.wait();
    parent.cancel();
    parent.wait();
    EXPECT_TRUE(completed);
  });
}

TEST_P(Group, WorksInADestructorWhileACancelledFiberUnwinds) {
  inside([] {
    std::atomic<int> closed{0};
    struct closer {
      std::atomic<int>& count;
      ~closer() {
        weft::for_each(std::array{1, 2, 3}, [this](int) {
          weft::yield();
          ++count;
        });
        auto [one, two] = weft::gather([] { return 1; },
                                       [] {
                                         weft::sleep(1us);
                                         return 2;
                                       });
        EXPECT_EQ(one + two, 3);
      }
    };
    auto closing = weft::go([&] {
      closer at_end{closed};
      weft::sleep(1h);
    });
    weft_test::until_parked(1);
    closing.cancel();
    EXPECT_THROW(closing.join(), weft::fiber_cancelled);
    EXPECT_EQ(closed, 3);
  });
}

// The fiber that is joined may end of the cancellation before it has come to the one that joins.
TEST_P(Group, CancellationIsNoFailureOfWhoJoinsASibling) {
  inside([] {
    constexpr std::size_t pairs = 200;
    for (int i = 0; i < 20; ++i)
      EXPECT_THROW(weft::with_timeout(2ms,
                                      [&] {
                                        std::vector<weft::fiber<void>> sleepers;
                                        sleepers.reserve(pairs);
                                        std::atomic<bool> all{false};
                                        weft::group tasks;
                                        for (std::size_t k = 0; k < pairs; ++k) {
                                          tasks.go([&, k] {
                                            while (!all) weft::yield();
                                            sleepers[k].join();
                                          });
                                          sleepers.push_back(tasks.go([] { weft::sleep(1h); }));
                                        }
                                        all = true;
                                        tasks.wait();
                                      }),
                   weft::timed_out);
  });
}

TEST_P(Group, AChildThatWaitsForItsOwnerIsALogicError) {
  inside([] {
    weft::fiber<void> owner;
    std::atomic<bool> named{false};
    owner = weft::go([&] {
      weft::group outer;
      outer.go([&] {
        weft::group inner;
        inner.go([&] {
          while (!named) weft::yield();
          EXPECT_THROW(owner.wait(), std::logic_error);
          EXPECT_FALSE(owner.wait_for(1us));  // this one ends
        });
        inner.wait();
      });
      outer.wait();
    });
    named = true;
    owner.join();
  });
}

TEST_P(Group, TheCallableOfAChildThatNeverBeganMayPark) {
  inside([] {
    struct parks {
      int* count;
      explicit parks(int& c) : count(&c) {}
      parks(parks&& from) noexcept : count(std::exchange(from.count, nullptr)) {}
      ~parks() {
        if (count == nullptr) return;
        weft::sleep(1us);
        ++*count;
      }
    };
    int dropped = 0;
    weft::group tasks;
    tasks.cancel();
    tasks.go([held = parks(dropped)] {});
    tasks.wait();
    EXPECT_EQ(dropped, 1);
  });
}

TEST_P(Gather, ReturnsAllResultsInOrder) {
  inside([] {
    int local = 5;
    auto [a, b, c] = weft::gather(
        [] {
          weft::sleep(2ms);
          return 1;
        },
        [&] { ++local; }, [] { return std::string("three"); });
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, std::monostate{});
    EXPECT_EQ(c, "three");
    EXPECT_EQ(local, 6);
  });
}

TEST_P(Gather, MoveOnlyResultsWork) {
  inside([] {
    auto [p, q] = weft::gather([] { return std::make_unique<int>(1); },
                               [] { return std::make_unique<int>(2); });
    EXPECT_EQ(*p + *q, 3);
  });
}

TEST_P(Gather, AFailureCancelsTheRestAndIsRethrown) {
  inside([] {
    std::atomic<bool> stopped{false};
    EXPECT_THROW(weft::gather(
                     [&] {
                       try {
                         weft::sleep(1h);
                       } catch (const weft::cancelled&) {
                         stopped = true;
                         throw;
                       }
                     },
                     [] {
                       weft::sleep(1ms);
                       throw std::invalid_argument("bad");
                     }),
                 std::invalid_argument);
    EXPECT_TRUE(stopped);
  });
}

TEST_P(Gather, RunsThemAtOnce) {
  inside([] {
    weft::latch all_there(3);  // one after the other, none would pass
    const auto meet = [&] { weft::with_timeout(10s, [&] { all_there.arrive_and_wait(); }); };
    EXPECT_NO_THROW(weft::gather(meet, meet, meet));
  });
}

}  // namespace
