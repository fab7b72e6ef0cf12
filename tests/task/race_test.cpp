// race(): one winner, no survivors, no value lost to a cancellation that came later.
#include <weft/race.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Race : public weft_test::fiber_fixture {};
FIBER_SUITE(Race);

TEST_P(Race, TheFirstToEndDecides) {
  inside([] {
    const int first = weft::race(
        [] {
          weft::sleep(1h);
          return 1;
        },
        [] { return 2; });
    EXPECT_EQ(first, 2);
    EXPECT_EQ(weft::race([] { return std::string("alone"); }), "alone");
  });
}

TEST_P(Race, LosersHaveEndedWhenItReturns) {
  inside([] {
    std::atomic<int> alive{0};
    auto loser = [&] {
      ++alive;
      struct off {
        std::atomic<int>& at;
        ~off() { --at; }
      } on_exit{alive};
      weft::sleep(1h);
      return 0;
    };
    auto winner = [&] {
      while (alive < 2) weft::yield();
      return 7;
    };
    EXPECT_EQ(weft::race(loser, winner, loser), 7);
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(Race, DifferentTypesBecomeAVariant) {
  inside([] {
    auto never = [] { weft::sleep(1h); };
    auto text = [] { return std::string("x"); };
    std::variant<std::monostate, std::string> got = weft::race(never, text);
    EXPECT_EQ(got.index(), 1u);
    EXPECT_EQ(std::get<1>(got), "x");
    auto other = weft::race([] {},
                            [] {
                              weft::sleep(1h);
                              return 1;
                            });
    EXPECT_EQ(other.index(), 0u);
    // Twice the same type: the index tells them apart.
    auto slow = [] {
      weft::sleep(1h);
      return 1;
    };
    auto third = weft::race(slow, never, [] { return 3; });
    EXPECT_EQ(third.index(), 2u);
    static_assert(std::is_void_v<decltype(weft::race(never, never))>);
  });
}

TEST_P(Race, MoveOnlyResultsAndReferences) {
  inside([] {
    const auto owner = weft::race([] { return std::make_unique<int>(5); });
    EXPECT_EQ(*owner, 5);
    int place = 3;
    auto same_place = [&place]() -> int& { return place; };
    static_assert(std::is_same_v<decltype(weft::race(same_place)), int>);
    EXPECT_EQ(weft::race(same_place), 3);
  });
}

TEST_P(Race, AnExceptionDecidesAsAResultDoes) {
  inside([] {
    EXPECT_THROW(weft::race([] { throw std::runtime_error("first"); }, [] { weft::sleep(1h); }),
                 std::runtime_error);
  });
}

TEST_P(Race, WhatALoserThrowsIsReported) {
  std::atomic<int> reported{0};
  weft::options options = how();
  options.on_also_failed = [&](std::string_view, std::exception_ptr) { ++reported; };
  weft::run(options, [] {
    EXPECT_EQ(weft::race(
                  []() -> int {
                    try {
                      weft::sleep(1h);
                    } catch (const weft::cancelled&) {
                      throw std::runtime_error("while being stopped");
                    }
                    return 0;
                  },
                  [] {
                    weft_test::until_parked(2);
                    return 1;
                  }),
              1);
  });
  EXPECT_EQ(reported, 1);
}

TEST_P(Race, CancellationReachesAllAndComesOut) {
  inside([] {
    auto nap = [] {
      weft::sleep(1h);
      return 1;
    };
    EXPECT_THROW(weft::with_timeout(2ms, [&] { return weft::race(nap, nap); }), weft::timed_out);
    // Ended from within, though nobody asked.
    EXPECT_THROW(weft::race([]() -> int { throw weft::cancelled(); }), weft::fiber_cancelled);
  });
}

TEST_P(Race, AResultThatCameBeforeTheCancellationStays) {
  inside([] {
    std::atomic<bool> decided{false}, go_on{false};
    auto whole = weft::go([&] {
      return weft::race([] { return 42; },
                        [&] {
                          try {
                            weft::sleep(1h);
                          } catch (const weft::cancelled&) {  // by the winner
                            decided = true;
                          }
                          weft::shield finish;
                          while (!go_on) weft::yield();
                          return 0;
                        });
    });
    // If the winner was first of all, the other never began, and the race may be over.
    while (!decided && !whole.done()) weft::yield();
    whole.cancel();
    go_on = true;
    EXPECT_EQ(whole.join(), 42);
  });
}

TEST_P(Race, ExactlyOneOfManyWins) {
  inside([] {
    const int rounds = 2'000 / weft_test::slowness;
    for (int i = 0; i < rounds; ++i) {
      auto one = [] { return 1; };
      auto two = [] { return 2; };
      auto three = [] {
        weft::yield();
        return 3;
      };
      const int got = weft::race(one, two, three);
      ASSERT_TRUE(got >= 1 && got <= 3);
    }
  });
}

TEST_P(Race, AResultThatCannotBeStoredEndsTheOthersAsWell) {
  inside([] {
    struct elusive {
      elusive() = default;
      elusive(const elusive&) { throw weft::cancelled(); }
    } place;
    auto quick = [&place]() -> elusive& { return place; };
    auto slow = [&place]() -> elusive& {
      weft::sleep(1h);
      return place;
    };
    EXPECT_THROW(weft::race(slow, quick, slow), weft::fiber_cancelled);
  });
}

}  // namespace
