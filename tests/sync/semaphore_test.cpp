#include <weft/semaphore.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class Semaphore : public weft_test::fiber_fixture {};
FIBER_SUITE(Semaphore);

TEST_P(Semaphore, LetsAsManyInAsThereArePermits) {
  inside([] {
    weft::counting_semaphore<> permits(3);
    std::atomic<int> in{0};
    std::atomic<int> most{0};
    weft::group tasks;
    for (int i = 0; i < 40; ++i)
      tasks.go([&] {
        permits.acquire();
        const int now = ++in;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        weft::yield();
        --in;
        permits.release();
      });
    tasks.wait();
    EXPECT_LE(most, 3);
    permits.acquire();
    permits.acquire();
    EXPECT_TRUE(permits.try_acquire());
    EXPECT_FALSE(permits.try_acquire());
    permits.release(2);
    EXPECT_TRUE(permits.try_acquire());
  });
}

TEST_P(Semaphore, WaitersGetTheirsInOrder) {
  inside([] {
    weft::counting_semaphore<> permits(0);
    std::vector<int> order;
    weft::group tasks;
    for (int i = 0; i < 8; ++i) {
      tasks.go([&permits, &order, i] {
        permits.acquire();
        order.push_back(i);  // one at a time: each is woken when the one before has run
        permits.release();
      });
      weft_test::until_parked(static_cast<std::size_t>(i) + 1);
    }
    permits.release();
    tasks.wait();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  });
}

TEST_P(Semaphore, MoreThanItsMaxIsAMistake) {
  inside([] {
    weft::binary_semaphore one(1);
    EXPECT_EQ(weft::binary_semaphore::max(), 1);
    EXPECT_THROW(one.release(), std::logic_error);
    EXPECT_THROW(one.release(-1), std::logic_error);
    one.acquire();
    one.release();
    weft::counting_semaphore<> many(weft::counting_semaphore<>::max());
    EXPECT_THROW(many.release(), std::logic_error);
    EXPECT_THROW(weft::counting_semaphore<>(-1), std::logic_error);
    EXPECT_THROW(weft::binary_semaphore(2), std::logic_error);
  });
}

TEST_P(Semaphore, WaitsThatTimeOutTakeNothing) {
  inside([] {
    weft::counting_semaphore<> permits(0);
    EXPECT_FALSE(permits.try_acquire_for(0s));
    EXPECT_FALSE(permits.try_acquire_for(-1s));
    EXPECT_FALSE(permits.try_acquire_for(100us));
    EXPECT_FALSE(permits.try_acquire_until(std::chrono::steady_clock::now() + 100us));
    EXPECT_FALSE(permits.try_acquire_until(std::chrono::system_clock::now() + 100us));
    permits.release(3);
    EXPECT_TRUE(permits.try_acquire_for(std::chrono::hours::max()));
    EXPECT_TRUE(permits.try_acquire_until(std::chrono::steady_clock::time_point::max()));
    EXPECT_TRUE(permits.try_acquire_for(0s));
  });
}

TEST_P(Semaphore, ACancelledWaiterTakesNoPermit) {
  inside([] {
    weft::counting_semaphore<> permits(0);
    auto first = weft::go([&] { permits.acquire(); });
    weft_test::until_parked(1);
    auto second = weft::go([&] { permits.acquire(); });
    weft_test::until_parked(2);
    first.cancel();
    permits.release();
    EXPECT_THROW(first.join(), weft::fiber_cancelled);
    second.join();
    EXPECT_FALSE(permits.try_acquire());
  });
}

TEST_P(Semaphore, IsSharedByRuntimesAndThreads) {
  const int rounds = 500 / weft_test::slowness;
  weft::counting_semaphore<> permits(2);
  std::atomic<int> in{0};
  weft_test::crowd(how(), 4, [&](int i) {
    for (int k = 0; k < rounds; ++k) {
      if (i % 4 == 0)
        while (!permits.try_acquire_for(10us)) {
        }
      else
        permits.acquire();
      EXPECT_LE(++in, 2);
      --in;
      permits.release();
    }
  });
  EXPECT_TRUE(permits.try_acquire());
  EXPECT_TRUE(permits.try_acquire());
  EXPECT_FALSE(permits.try_acquire());
}

TEST_P(Semaphore, MayBeDestroyedBehindTheWait) {
  inside([] {
    weft_test::destroy_at_once<weft::binary_semaphore>(
        4'000 / weft_test::slowness, [] { return std::make_unique<weft::binary_semaphore>(0); },
        [](weft::binary_semaphore& s) { s.release(); },
        [](weft::binary_semaphore& s) { s.acquire(); });
  });
}

}  // namespace
