// Notifications against timeouts and cancellation: nothing is lost or doubled.
#include <weft/condition_variable.hpp>
#include <weft/mutex.hpp>
#include <weft/semaphore.hpp>

#include <mutex>

#include "sync/support.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::slowness;
using weft_test::tiny_pause;
using hold_lock = std::unique_lock<weft::mutex>;

const int rounds = 100'000 / slowness;

class Sync : public weft_test::fiber_fixture {};
FIBER_SUITE(Sync);

TEST_P(Sync, APermitIsNotLostToATimeout) {
  inside([] {
    weft::counting_semaphore<> permits(0);
    std::atomic<int> turn{0};
    std::thread releaser([&] {
      for (int i = 1; i <= rounds; ++i) {
        while (turn < i) std::this_thread::yield();
        tiny_pause(static_cast<unsigned>(i) % 4001);
        permits.release();
      }
    });
    for (int i = 1; i <= rounds; ++i) {
      turn = i;
      if (!permits.try_acquire_for(std::chrono::nanoseconds(i % 4000))) permits.acquire();
    }
    weft::blocking([&] { releaser.join(); });
    EXPECT_FALSE(permits.try_acquire());
  });
}

TEST_P(Sync, APermitIsNotLostToACancellation) {
  inside([] {
    weft::counting_semaphore<> permits(0);
    for (int i = 0; i < rounds; ++i) {
      bool got = false;
      auto waiter = weft::go([&] {
        permits.acquire();
        got = true;
      });
      if (i % 4 != 0) weft::yield();
      auto canceller = weft::go([&] { waiter.cancel(); });
      if (i % 3 == 0) weft::yield();
      permits.release();
      waiter.wait();
      canceller.join();
      ASSERT_EQ(permits.try_acquire(), !got);
    }
  });
}

// Two wait, and one notification comes. The first waiter has it, or the second one gets it.
struct pair_of_waiters {
  weft::mutex lock;
  weft::condition_variable changed;
  int waiting = 0;
  bool first = false;

  void until_both_wait() {
    for (;; weft::yield()) {
      const hold_lock hold(lock);
      if (waiting == 2) return;
    }
  }
  void wait() {
    hold_lock hold(lock);
    ++waiting;
    changed.wait(hold);
  }
};

TEST_P(Sync, ANotificationIsNotLostToATimeout) {
  inside([] {
    for (int i = 0; i < rounds; ++i) {
      pair_of_waiters two;
      auto timed = weft::go([&] {
        hold_lock hold(two.lock);
        ++two.waiting;
        two.first = two.changed.wait_for(hold, std::chrono::nanoseconds(i % 8000)) ==
                    std::cv_status::no_timeout;
      });
      auto other = weft::go([&] { two.wait(); });
      two.until_both_wait();
      tiny_pause(static_cast<unsigned>(i) % 997);
      two.changed.notify_one();
      timed.join();
      if (two.first) {
        ASSERT_FALSE(other.done());
        two.changed.notify_one();
      }
      other.join();
    }
  });
}

TEST_P(Sync, ANotificationIsNotLostToACancellation) {
  inside([] {
    for (int i = 0; i < rounds; ++i) {
      pair_of_waiters two;
      auto cancelled = weft::go([&] {
        two.wait();
        two.first = true;
      });
      auto other = weft::go([&] { two.wait(); });
      two.until_both_wait();
      auto canceller = weft::go([&] { cancelled.cancel(); });
      if (i % 2 == 0) weft::yield();
      two.changed.notify_one();
      cancelled.wait();
      if (two.first) {
        EXPECT_FALSE(other.done()) << "one notification let two go";
        two.changed.notify_one();
      }
      other.join();
      canceller.join();
    }
  });
}

TEST_P(Sync, PairsHandOverWithoutLosingAnyone) {
  inside([] {
    struct table {
      weft::mutex lock;
      weft::condition_variable changed;
      int turn = 0;
    };
    std::vector<std::unique_ptr<table>> tables;
    weft::group tasks;
    for (int p = 0; p < 64; ++p) {
      tables.push_back(std::make_unique<table>());
      for (int me = 0; me < 2; ++me)
        tasks.go([&at = *tables.back(), me] {
          for (int i = 0; i < 2'000 / slowness; ++i) {
            hold_lock hold(at.lock);
            at.changed.wait(hold, [&] { return at.turn % 2 == me; });
            ++at.turn;
            at.changed.notify_one();
          }
        });
    }
    tasks.wait();
  });
}

}  // namespace
