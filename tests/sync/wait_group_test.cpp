#include <weft/wait_group.hpp>

#include <stdexcept>

#include "support.hpp"

namespace {

class WaitGroup : public weft_test::fiber_fixture {};
FIBER_SUITE(WaitGroup);

TEST_P(WaitGroup, WaitsForAllThatWereAnnounced) {
  inside([] {
    weft::wait_group pending;
    pending.wait();
    std::atomic<int> done{0};
    for (int round = 1; round <= 20; ++round) {
      for (int i = 0; i < 10; ++i) {
        pending.add(1);
        weft::go([&, i] {
          if (i % 2 == 0) weft::yield();
          ++done;
          pending.done();
        }).detach();
      }
      pending.wait();
      EXPECT_EQ(done, round * 10);
    }
  });
}

TEST_P(WaitGroup, BelowZeroIsAMistake) {
  inside([] {
    weft::wait_group pending;
    EXPECT_THROW(pending.done(), std::logic_error);
    pending.add(3);
    EXPECT_THROW(pending.add(-4), std::logic_error);
    EXPECT_THROW(pending.add(PTRDIFF_MAX), std::logic_error);
    auto waiter = weft::go([&] { pending.wait(); });
    weft_test::until_parked(1);
    EXPECT_THROW(pending.add(-4), std::logic_error);
    pending.add(-3);
    waiter.join();
  });
}

TEST_P(WaitGroup, ACancelledWaiterLeaves) {
  inside([] {
    weft::wait_group pending;
    pending.add(1);
    auto waiter = weft::go([&] { pending.wait(); });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    pending.done();
    pending.wait();
  });
}

TEST_P(WaitGroup, IsSharedByRuntimesAndThreads) {
  weft::wait_group pending;
  pending.add(30);
  std::atomic<int> done{0};
  weft_test::crowd(how(), 10, [&](int) {
    ++done;
    pending.done();
    pending.wait();
    EXPECT_EQ(done, 30);
  });
}

TEST_P(WaitGroup, MayBeDestroyedBehindTheWait) {
  inside([] {
    weft_test::destroy_at_once<weft::wait_group>(
        4'000 / weft_test::slowness,
        [] {
          auto made = std::make_unique<weft::wait_group>();
          made->add(2);
          return made;
        },
        [](weft::wait_group& g) {
          g.done();
          g.done();
        },
        [](weft::wait_group& g) { g.wait(); });
  });
}

}  // namespace
