// Exceptions and parking: what is in flight belongs to the fiber, wherever it goes on.
#include <atomic>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Exceptions : public weft_test::fiber_fixture {};
FIBER_SUITE(Exceptions);

// Parks in one of several ways, so that the fiber often goes on elsewhere.
void go_away(unsigned how) {
  switch (how % 3) {
    case 0:
      weft::yield();
      break;
    case 1:
      weft::sleep(std::chrono::microseconds(how % 50));
      break;
    default:
      weft::go([] { weft::yield(); }).wait();
  }
}

TEST_P(Exceptions, EachFiberRethrowsItsOwnAfterParkingInTheHandler) {
  inside([] {
    weft::group all;
    for (unsigned id = 0; id < 1000u / weft_test::slowness; ++id)
      all.go([id] {
        std::minstd_rand random(id + 1);
        const std::string mine = "outer " + std::to_string(id);
        try {
          try {
            go_away(static_cast<unsigned>(random()));
            throw std::runtime_error(mine);
          } catch (const std::runtime_error& outer) {
            go_away(static_cast<unsigned>(random()));
            EXPECT_EQ(outer.what(), mine);
            try {
              throw std::logic_error("inner " + std::to_string(id));
            } catch (const std::logic_error& inner) {
              go_away(static_cast<unsigned>(random()));
              EXPECT_EQ(inner.what(), "inner " + std::to_string(id));
              EXPECT_EQ(std::uncaught_exceptions(), 0);
            }
            go_away(static_cast<unsigned>(random()));
            EXPECT_NE(std::current_exception(), nullptr);
            throw;
          }
        } catch (const std::runtime_error& again) {
          EXPECT_EQ(again.what(), mine);
        }
        EXPECT_EQ(std::current_exception(), nullptr);
      });
    all.wait();
  });
}

TEST_P(Exceptions, ADestructorMayParkWhileItsFiberUnwinds) {
  inside([] {
    struct parks {
      unsigned how;
      ~parks() {
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        go_away(how);
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    };
    weft::group all;
    for (unsigned id = 0; id < 300u / weft_test::slowness; ++id)
      all.go([id] {
        try {
          parks on_exit{id};
          throw static_cast<int>(id);
        } catch (int thrown) {
          EXPECT_EQ(thrown, static_cast<int>(id));
        }
        EXPECT_EQ(std::uncaught_exceptions(), 0);
      });
    all.wait();
  });
}

TEST_P(Exceptions, SwallowingACancellationIsDefined) {
  inside([] {
    int swallowed = 0;
    auto stubborn = weft::go([&] {
      for (int i = 0; i < 5; ++i) {
        try {
          weft::sleep(1h);
        } catch (...) {
          ++swallowed;
        }
      }
      return 7;  // it ends as if nothing had been asked
    });
    weft_test::until_parked(1);
    stubborn.cancel();
    EXPECT_EQ(stubborn.join(), 7);
    EXPECT_EQ(swallowed, 5);
  });
}

TEST_P(Exceptions, ThrownObjectsThatAreNoExceptionsReachTheJoiner) {
  inside([] {
    auto thrower = weft::go([] { throw 5; });
    EXPECT_THROW(thrower.join(), int);
  });
}

}  // namespace
