// pin_guard: a pinned fiber stays on its worker whatever wakes it and whoever is idle.
#include <weft/go.hpp>

#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class PinGuard : public weft_test::fiber_fixture {};
FIBER_SUITE(PinGuard);

// Fibers that come and go, so that workers steal all the time.
class turmoil {
 public:
  turmoil() {
    for (int i = 0; i < 8; ++i)
      fibers_.push_back(weft::go([this] {
        while (!over_) {
          weft::go([] { weft::yield(); }).join();
          weft::yield();
        }
      }));
  }
  ~turmoil() {
    over_ = true;
    for (auto& each : fibers_) each.wait();
  }

 private:
  std::atomic<bool> over_{false};
  std::vector<weft::fiber<void>> fibers_;
};

const int rounds = 300 / weft_test::slowness;

TEST(PinGuardOutside, OfAFiberIsALogicError) { EXPECT_THROW(weft::pin_guard(), std::logic_error); }

TEST_P(PinGuard, StaysAcrossSleepsAndYields) {
  inside([] {
    turmoil others;
    weft::pin_guard here;
    const auto thread = std::this_thread::get_id();
    for (int i = 0; i < rounds; ++i) {
      weft::sleep(std::chrono::microseconds(i % 5));
      EXPECT_EQ(std::this_thread::get_id(), thread);
      weft::yield();
      EXPECT_EQ(std::this_thread::get_id(), thread);
    }
  });
}

TEST_P(PinGuard, StaysWhenOtherWorkersWakeIt) {
  inside([] {
    turmoil others;
    weft::pin_guard here;
    const auto thread = std::this_thread::get_id();
    for (int i = 0; i < rounds; ++i) {
      weft::go([] { weft::yield(); }).join();
      EXPECT_EQ(std::this_thread::get_id(), thread);
      EXPECT_EQ(weft::blocking([] { return 1; }), 1);
      EXPECT_EQ(std::this_thread::get_id(), thread);
    }
  });
}

TEST_P(PinGuard, StaysWhenPlainThreadsWakeIt) {
  inside([] {
    turmoil others;
    weft::pin_guard here;
    const auto thread = std::this_thread::get_id();
    for (int i = 0; i < rounds / 3; ++i) {
      weft::promise<int> sent;
      std::thread sender([&] { sent.set_value(i); });
      EXPECT_EQ(sent.get_future().get(), i);
      EXPECT_EQ(std::this_thread::get_id(), thread);
      sender.join();
    }
  });
}

TEST_P(PinGuard, StaysAcrossIo) {
  inside([] {
    turmoil others;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    auto writer = weft::go([&] {
      for (int i = 0; i < rounds; ++i) {
        weft::yield();
        weft::write(ends[1], "x", 1);
      }
    });
    {
      weft::pin_guard here;
      const auto thread = std::this_thread::get_id();
      char byte = 0;
      for (int i = 0; i < rounds; ++i) {
        EXPECT_EQ(weft::read(ends[0], &byte, 1), 1u);
        EXPECT_EQ(std::this_thread::get_id(), thread);
      }
    }
    writer.join();
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

TEST_P(PinGuard, StaysWhenCancelled) {
  inside([] {
    turmoil others;
    for (int i = 0; i < rounds / 3; ++i) {
      std::atomic<bool> pinned{false};
      auto child = weft::go([&] {
        weft::pin_guard here;
        const auto thread = std::this_thread::get_id();
        pinned = true;
        try {
          weft::sleep(1h);
        } catch (const weft::cancelled&) {
          EXPECT_EQ(std::this_thread::get_id(), thread);
          throw;
        }
      });
      while (!pinned) weft::yield();
      child.cancel();
      EXPECT_THROW(child.join(), weft::fiber_cancelled);
    }
  });
}

TEST_P(PinGuard, NestsAndEndsWithTheOutermost) {
  inside([] {
    turmoil others;
    auto pinned_to = [] { return weft::detail::current_fiber()->pinned_to; };
    {
      weft::pin_guard outer;
      const auto thread = std::this_thread::get_id();
      EXPECT_EQ(pinned_to(), weft::detail::current_carrier());
      for (int i = 0; i < rounds / 3; ++i) {
        {
          weft::pin_guard inner;
          weft::sleep(1us);
        }
        weft::sleep(1us);
        EXPECT_EQ(std::this_thread::get_id(), thread);
        EXPECT_NE(pinned_to(), nullptr);
      }
    }
    EXPECT_EQ(pinned_to(), nullptr);
    weft::sleep(1us);
  });
}

TEST_P(PinGuard, AllOfManyStay) {
  inside([] {
    weft::group tasks;
    for (int f = 0; f < 30; ++f)
      tasks.go([f] {
        weft::sleep(std::chrono::microseconds(f));
        weft::pin_guard here;
        const auto thread = std::this_thread::get_id();
        for (int i = 0; i < rounds / 3; ++i) {
          if (i % 4 == 0)
            weft::sleep(1us);
          else
            weft::yield();
          EXPECT_EQ(std::this_thread::get_id(), thread);
        }
      });
    tasks.wait();
  });
}

TEST_P(PinGuard, HoldsInABodyOfAGeneratorBetweenTwoValues) {
  inside([] {
    turmoil others;
    weft::generator<int> g([](auto& yield) {
      for (int i = 0; i < 20; ++i) {
        {
          weft::pin_guard here;
          const auto thread = std::this_thread::get_id();
          weft::sleep(1us);
          weft::yield();
          EXPECT_EQ(std::this_thread::get_id(), thread);
        }
        yield(i);
      }
    });
    weft::pin_guard here;
    const auto thread = std::this_thread::get_id();
    for (int i : g) {
      EXPECT_GE(i, 0);
      EXPECT_EQ(std::this_thread::get_id(), thread);
    }
  });
}

}  // namespace
