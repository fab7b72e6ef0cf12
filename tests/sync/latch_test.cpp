#include <weft/latch.hpp>

#include <stdexcept>

#include "support.hpp"

namespace {

class Latch : public weft_test::fiber_fixture {};
FIBER_SUITE(Latch);

TEST_P(Latch, LetsEverybodyGoAtZero) {
  inside([] {
    weft::latch all(11);
    std::atomic<int> arrived{0};
    weft::group tasks;
    for (int i = 0; i < 10; ++i)
      tasks.go([&] {
        ++arrived;
        all.arrive_and_wait();
        EXPECT_EQ(arrived, 10);
      });
    weft_test::until_parked(10);
    EXPECT_FALSE(all.try_wait());
    all.count_down(0);
    EXPECT_FALSE(all.try_wait());
    all.count_down();
    EXPECT_TRUE(all.try_wait());
    all.wait();
    tasks.wait();
  });
}

TEST_P(Latch, CountsDownNoFurtherThanToZero) {
  inside([] {
    weft::latch all(2);
    EXPECT_THROW(all.count_down(3), std::logic_error);
    EXPECT_THROW(all.count_down(-1), std::logic_error);
    all.count_down(2);
    EXPECT_THROW(all.count_down(), std::logic_error);
    EXPECT_TRUE(all.try_wait());
    EXPECT_TRUE(weft::latch(0).try_wait());
    EXPECT_THROW(weft::latch(-1), std::logic_error);
    EXPECT_THROW(weft::latch(PTRDIFF_MAX), std::logic_error);
    EXPECT_GT(weft::latch::max(), 1'000'000'000'000);
  });
}

TEST_P(Latch, WhoIsCancelledHasArrived) {
  inside([] {
    weft::latch all(2);
    auto waiter = weft::go([&] { all.arrive_and_wait(); });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    all.arrive_and_wait();
  });
}

TEST_P(Latch, IsSharedByRuntimesAndThreads) {
  weft::latch all(30);
  std::atomic<int> arrived{0};
  weft_test::crowd(how(), 10, [&](int) {
    ++arrived;
    all.arrive_and_wait();
    EXPECT_EQ(arrived, 30);
  });
}

TEST_P(Latch, MayBeDestroyedBehindTheWait) {
  inside([] {
    weft_test::destroy_at_once<weft::latch>(
        4'000 / weft_test::slowness, [] { return std::make_unique<weft::latch>(2); },
        [](weft::latch& l) {
          l.count_down();
          l.count_down();
        },
        [](weft::latch& l) { l.wait(); });
  });
}

}  // namespace
