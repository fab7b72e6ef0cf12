#include <weft/event.hpp>

#include <vector>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class Event : public weft_test::fiber_fixture {};
FIBER_SUITE(Event);

TEST_P(Event, LetsAllWaitersGo) {
  inside([] {
    weft::event ready;
    int data = 0;
    std::atomic<int> saw{0};
    weft::group waiters;
    for (int i = 0; i < 20; ++i)
      waiters.go([&] {
        ready.wait();
        saw += data;
      });
    weft_test::until_parked(20);
    data = 1;
    ready.set();
    waiters.wait();
    EXPECT_EQ(saw, 20);
    EXPECT_TRUE(ready.is_set());
    ready.set();
    ready.wait();  // stays set
    ready.reset();
    EXPECT_FALSE(ready.is_set());
    ready.reset();
    EXPECT_FALSE(ready.wait_for(1ms));
  });
}

TEST_P(Event, WaitsThatTimeOutLeaveNothingBehind) {
  inside([] {
    weft::event never;
    EXPECT_FALSE(never.wait_for(0s));
    EXPECT_FALSE(never.wait_for(-1h));
    EXPECT_FALSE(never.wait_for(100us));
    EXPECT_FALSE(never.wait_until(std::chrono::steady_clock::now() + 100us));
    EXPECT_FALSE(never.wait_until(std::chrono::system_clock::now() + 100us));
    EXPECT_FALSE(never.wait_until(std::chrono::system_clock::time_point::min()));
    auto setter = weft::go([&] {
      weft::sleep(1ms);
      never.set();
    });
    EXPECT_TRUE(never.wait_for(std::chrono::hours::max()));
    EXPECT_TRUE(never.wait_until(std::chrono::system_clock::time_point::max()));
    EXPECT_TRUE(never.wait_for(std::chrono::duration<double>(1e300)));
    setter.join();
  });
}

TEST_P(Event, ACancelledWaiterLeaves) {
  inside([] {
    weft::event never;
    auto waiter = weft::go([&] { never.wait(); });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    never.set();
    auto late = weft::go([&] {
      EXPECT_THROW(weft::sleep(1h), weft::cancelled);
      never.wait();  // is set, so this is no cancellation point
      return 1;
    });
    weft_test::until_parked(1);
    late.cancel();
    EXPECT_EQ(late.join(), 1);
  });
}

TEST_P(Event, IsSharedByRuntimesAndThreads) {
  weft::event turns[20];
  std::atomic<int> through{0};
  weft_test::crowd(how(), 4, [&](int i) {
    for (auto& turn : turns) {
      if (i == 0) turn.set();
      turn.wait();
      ++through;
    }
  });
  EXPECT_EQ(through, 4 * 3 * 20);
}

TEST_P(Event, MayBeDestroyedBehindTheWait) {
  inside([] {
    weft_test::destroy_at_once<weft::event>(
        4'000 / weft_test::slowness, [] { return std::make_unique<weft::event>(); },
        [](weft::event& e) { e.set(); }, [](weft::event& e) { e.wait(); });
  });
}

}  // namespace
