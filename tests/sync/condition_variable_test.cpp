#include <weft/condition_variable.hpp>

#include <atomic>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <weft/shared_mutex.hpp>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class ConditionVariable : public weft_test::fiber_fixture {};
FIBER_SUITE(ConditionVariable);

using hold_lock = std::unique_lock<weft::mutex>;

TEST_P(ConditionVariable, PassesEverythingThroughAQueue) {
  inside([] {
    const int count = 5'000 / weft_test::slowness;
    weft::mutex lock;
    weft::condition_variable changed;
    std::deque<int> queue;
    std::atomic<long> sum{0};
    weft::group tasks;
    for (int c = 0; c < 4; ++c)
      tasks.go([&] {
        for (;;) {
          hold_lock hold(lock);
          changed.wait(hold, [&] { return !queue.empty(); });
          const int got = queue.front();
          queue.pop_front();
          if (got == 0) return;
          sum += got;
        }
      });
    for (int p = 0; p < 2; ++p)
      tasks.go([&] {
        for (int i = 1; i <= count; ++i) {
          {
            const hold_lock hold(lock);
            queue.push_back(i);
          }
          changed.notify_one();
        }
      });
    while (sum < long{count} * (count + 1)) weft::yield();
    {
      const hold_lock hold(lock);
      for (int c = 0; c < 4; ++c) queue.push_back(0);
    }
    changed.notify_all();
    tasks.wait();
    EXPECT_EQ(sum, long{count} * (count + 1));
  });
}

TEST_P(ConditionVariable, WaitsThatTimeOutHoldTheLockAgain) {
  inside([] {
    weft::mutex lock;
    weft::condition_variable changed;
    hold_lock hold(lock);
    const auto locked = [&] {
      return hold.owns_lock() && !weft::go([&] { return lock.try_lock(); }).join();
    };
    EXPECT_EQ(changed.wait_for(hold, 0s), std::cv_status::timeout);
    EXPECT_EQ(changed.wait_for(hold, -1h), std::cv_status::timeout);
    EXPECT_EQ(changed.wait_for(hold, 100us), std::cv_status::timeout);
    EXPECT_TRUE(locked());
    EXPECT_EQ(changed.wait_until(hold, std::chrono::steady_clock::now() + 100us),
              std::cv_status::timeout);
    EXPECT_EQ(changed.wait_until(hold, std::chrono::system_clock::now() + 100us),
              std::cv_status::timeout);
    EXPECT_TRUE(locked());
    EXPECT_FALSE(changed.wait_for(hold, 100us, [] { return false; }));
    EXPECT_TRUE(changed.wait_for(hold, 0s, [] { return true; }));
    EXPECT_FALSE(changed.wait_until(hold, std::chrono::steady_clock::now(), [] { return false; }));
    std::atomic<int> woken{0};
    auto notifier = weft::go([&] {
      for (int i = 0; i < 2; ++i) {
        while (woken < i) weft::yield();
        const hold_lock mine(lock);  // it is ours once the other waits
        changed.notify_all();
      }
    });
    EXPECT_EQ(changed.wait_for(hold, std::chrono::hours::max()), std::cv_status::no_timeout);
    ++woken;
    EXPECT_EQ(changed.wait_until(hold, std::chrono::system_clock::time_point::max()),
              std::cv_status::no_timeout);
    hold.unlock();
    notifier.join();
  });
}

TEST_P(ConditionVariable, CancellationIsDeliveredWithTheLockHeldAgain) {
  inside([] {
    weft::mutex lock;
    weft::condition_variable changed;
    bool held = false;
    auto waiter = weft::go([&] {
      hold_lock hold(lock);
      try {
        changed.wait(hold);
      } catch (const weft::cancelled&) {
        held = hold.owns_lock();
        hold.unlock();  // reports if it is not ours
        throw;
      }
    });
    weft_test::until_parked(1);
    hold_lock hold(lock);
    waiter.cancel();
    weft::yield();
    EXPECT_FALSE(waiter.done()) << "it has to take the lock first";
    hold.unlock();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    EXPECT_TRUE(held);
    changed.notify_all();  // nobody is left
  });
}

TEST_P(ConditionVariable, AWaitWithoutTimeLeftDeliversCancellationToo) {
  inside([] {
    weft::mutex lock;
    weft::condition_variable changed;
    weft::condition_variable_any any;
    int delivered = 0;
    auto waiter = weft::go([&] {
      hold_lock hold(lock);
      auto count = [&](auto&& wait) {
        try {
          wait();
        } catch (const weft::cancelled&) {
          if (hold.owns_lock()) ++delivered;
        }
      };
      count([&] { changed.wait(hold); });
      count([&] { changed.wait_for(hold, 0s); });
      count([&] { any.wait_for(hold, -1s, [] { return false; }); });
      count([&] { any.wait_until(hold, std::chrono::system_clock::time_point::min()); });
      EXPECT_TRUE(changed.wait_for(hold, 0s, [] { return true; }));
    });
    weft_test::until_parked(1);
    waiter.cancel();
    waiter.join();
    EXPECT_EQ(delivered, 4);
  });
}

TEST_P(ConditionVariable, ACancelledWaiterLeavesTheNotificationToTheNext) {
  inside([] {
    weft::mutex lock;
    weft::condition_variable changed;
    const auto wait = [&] {
      hold_lock hold(lock);
      changed.wait(hold);
    };
    auto first = weft::go(wait);
    weft_test::until_parked(1);
    auto second = weft::go(wait);
    weft_test::until_parked(2);
    first.cancel();
    changed.notify_one();
    second.join();
    EXPECT_THROW(first.join(), weft::fiber_cancelled);
  });
}

TEST_P(ConditionVariable, WaitingWithoutTheLockIsReported) {
  inside([] {
    weft::mutex lock;
    weft::condition_variable changed;
    hold_lock none(lock, std::defer_lock);
    EXPECT_THROW(changed.wait(none), std::system_error);
    lock.lock();
    weft::go([&] {
      hold_lock not_mine(lock, std::adopt_lock);
      EXPECT_THROW(changed.wait(not_mine), std::system_error);
      not_mine.release();
    }).join();
    lock.unlock();
  });
}

TEST_P(ConditionVariable, AnyWorksWithOtherLocks) {
  inside([] {
    weft::shared_mutex lock;
    weft::condition_variable_any changed;
    bool ready = false;
    auto reader = weft::go([&] {
      std::shared_lock<weft::shared_mutex> hold(lock);
      changed.wait(hold, [&] { return ready; });
      EXPECT_TRUE(hold.owns_lock());
    });
    auto writer = weft::go([&] {
      std::unique_lock<weft::shared_mutex> hold(lock);
      changed.wait(hold, [&] { return ready; });
    });
    weft_test::until_parked(2);
    {
      const std::unique_lock<weft::shared_mutex> hold(lock);
      ready = true;
    }
    changed.notify_all();
    reader.join();
    writer.join();
    std::mutex plain;
    std::unique_lock<std::mutex> hold(plain);
    EXPECT_EQ(changed.wait_for(hold, 1ms), std::cv_status::timeout);
  });
}

// A lock whose operations park, and would deliver cancellation.
struct parking_lock {
  weft::mutex inner;
  void lock() {
    weft::sleep(10us);
    inner.lock();
  }
  void unlock() {
    inner.unlock();
    weft::yield();
  }
};

TEST_P(ConditionVariable, AnyWorksWithALockThatParks) {
  inside([] {
    const int rounds = 200 / weft_test::slowness;
    parking_lock lock;
    weft::condition_variable_any changed;
    int turn = 0;
    weft::group tasks;
    for (int me = 0; me < 2; ++me)
      tasks.go([&, me] {
        for (int i = 0; i < rounds; ++i) {
          lock.lock();
          changed.wait(lock, [&] { return turn % 2 == me; });
          ++turn;
          changed.notify_all();
          lock.unlock();
        }
      });
    tasks.wait();
    EXPECT_EQ(turn, 2 * rounds);
    auto waiter = weft::go([&] {
      lock.lock();
      try {
        changed.wait(lock);
      } catch (const weft::cancelled&) {
        lock.inner.unlock();  // so it was held
        throw;
      }
    });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
  });
}

TEST_P(ConditionVariable, IsSharedByRuntimesAndThreads) {
  const int rounds = 500 / weft_test::slowness;
  weft::mutex lock;
  weft::condition_variable changed;
  int turn = 0;
  weft_test::crowd(how(), 2, [&](int i) {
    for (int k = 0; k < rounds; ++k) {
      hold_lock hold(lock);
      changed.wait(hold, [&] { return turn % 6 == i; });
      ++turn;
      changed.notify_all();
    }
  });
  EXPECT_EQ(turn, 6 * rounds);
}

struct place {
  weft::mutex lock;
  weft::condition_variable changed;
  bool ready = false;
};

// The lock outlives the condition variable, which goes right after notify_all().
TEST_P(ConditionVariable, MayBeDestroyedBehindNotifyAll) {
  inside([] {
    const int rounds = 2'000 / weft_test::slowness;
    for (int i = 0; i < rounds; ++i) {
      weft::mutex lock;
      auto changed = std::make_unique<weft::condition_variable>();
      int waiting = 0;
      int timed_out = 0;
      weft::group tasks;
      for (int w = 0; w < 3; ++w)
        tasks.go([&, w, it = changed.get()] {
          hold_lock hold(lock);
          ++waiting;
          if (w < 2)
            it->wait(hold);
          else if (it->wait_for(hold, std::chrono::microseconds(i % 50)) == std::cv_status::timeout)
            ++timed_out;
        });
      for (;;) {
        const hold_lock hold(lock);
        if (waiting < 3) {
          weft::yield();
          continue;
        }
        changed->notify_all();
        changed.reset();
        break;
      }
      tasks.wait();
      EXPECT_LE(timed_out, 1);
    }
  });
}

}  // namespace
