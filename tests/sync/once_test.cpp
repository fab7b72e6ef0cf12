#include <weft/once.hpp>

#include <stdexcept>
#include <string>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class Once : public weft_test::fiber_fixture {};
FIBER_SUITE(Once);

TEST_P(Once, InitialisesOnceForAll) {
  inside([] {
    weft::once_flag flag;
    int calls = 0;
    std::string value;
    weft::group tasks;
    for (int i = 0; i < 20; ++i)
      tasks.go([&] {
        weft::call_once(
            flag,
            [&](const std::string& text, int) {
              weft::sleep(1ms);  // the others park meanwhile
              ++calls;
              value = text;
            },
            "made", 1);
        EXPECT_EQ(value, "made");
      });
    tasks.wait();
    EXPECT_EQ(calls, 1);
  });
}

TEST_P(Once, AfterAFailureTheNextOneTries) {
  inside([] {
    weft::once_flag flag;
    int calls = 0;
    std::atomic<int> failed{0};
    weft::group tasks;
    for (int i = 0; i < 20; ++i)
      tasks.go([&] {
        try {
          weft::call_once(flag, [&] {
            weft::yield();
            if (++calls < 6) throw std::runtime_error("not yet");
          });
        } catch (const std::runtime_error&) {
          ++failed;
        }
      });
    tasks.wait();
    EXPECT_EQ(calls, 6);
    EXPECT_EQ(failed, 5);
  });
}

TEST_P(Once, ACancelledInitialiserLetsTheNextOneTry) {
  inside([] {
    weft::once_flag flag;
    bool made = false;
    auto first = weft::go([&] { weft::call_once(flag, [] { weft::sleep(1h); }); });
    weft_test::until_parked(1);
    auto gives_up = weft::go([&] { weft::call_once(flag, [] { ADD_FAILURE(); }); });
    auto second = weft::go([&] { weft::call_once(flag, [&] { made = true; }); });
    weft_test::until_parked(3);
    gives_up.cancel();
    EXPECT_THROW(gives_up.join(), weft::fiber_cancelled);
    first.cancel();
    EXPECT_THROW(first.join(), weft::fiber_cancelled);
    second.join();
    EXPECT_TRUE(made);
    weft::call_once(flag, [] { ADD_FAILURE() << "done already"; });
  });
}

// The one that a failure notifies may have been cancelled meanwhile. It must not leave the rest.
TEST_P(Once, AFailureReachesSomebodyAlthoughWaitersAreCancelled) {
  inside([] {
    const int rounds = 1'000 / weft_test::slowness;
    for (int i = 0; i < rounds; ++i) {
      weft::once_flag flag;
      std::atomic<bool> begun{false};
      std::atomic<bool> go_on{false};
      std::atomic<int> made{0};
      auto first = weft::go([&] {
        EXPECT_THROW(weft::call_once(flag,
                                     [&] {
                                       begun = true;
                                       while (!go_on) weft::yield();
                                       throw std::runtime_error("first");
                                     }),
                     std::runtime_error);
      });
      while (!begun) weft::yield();
      auto make = [&] { weft::call_once(flag, [&] { ++made; }); };
      auto cancelled = weft::go(make);
      auto rest = weft::go(make);
      if (i % 2 == 0) weft_test::until_parked(1);
      auto canceller = weft::go([&] { cancelled.cancel(); });
      go_on = true;
      first.join();
      rest.join();
      canceller.join();
      cancelled.wait();
      EXPECT_EQ(made, 1);
    }
  });
}

TEST_P(Once, CallingItselfIsReported) {
  inside([] {
    weft::once_flag flag;
    EXPECT_THROW(weft::call_once(flag, [&] { weft::call_once(flag, [] {}); }), std::system_error);
    weft::call_once(flag, [] {});
  });
}

TEST_P(Once, IsSharedByRuntimesAndThreads) {
  for (int round = 0; round < 20; ++round) {
    weft::once_flag flag;
    int calls = 0;
    weft_test::crowd(how(), 3, [&](int) {
      weft::call_once(flag, [&] { ++calls; });
      EXPECT_EQ(calls, 1);
    });
  }
}

}  // namespace
