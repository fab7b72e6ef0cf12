#include <weft/mutex.hpp>

#include <mutex>
#include <system_error>
#include <vector>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class Mutex : public weft_test::fiber_fixture {};
FIBER_SUITE(Mutex);
class MutexDeathTest : public weft_test::fiber_fixture {};
INSTANTIATE_TEST_SUITE_P(Workers, MutexDeathTest, testing::Values(1u), weft_test::workers_name);

std::errc code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::system_error& error) {
    return static_cast<std::errc>(error.code().value());
  }
  return {};
}

weft::mutex a_global;  // constant initialised

TEST_P(Mutex, LetsOneInAtATime) {
  inside([] {
    const int rounds = 2'000 / weft_test::slowness;
    weft::mutex lock;
    int count = 0;
    weft::group tasks;
    for (int i = 0; i < 50; ++i)
      tasks.go([&, i] {
        for (int k = 0; k < rounds; ++k) {
          const std::lock_guard<weft::mutex> hold(lock);
          const int before = count;
          if ((k + i) % 50 == 0) weft::yield();  // may go on on another thread
          count = before + 1;
        }
      });
    tasks.wait();
    EXPECT_EQ(count, 50 * rounds);
    const std::lock_guard<weft::mutex> hold(a_global);
  });
}

TEST_P(Mutex, IsSharedByRuntimesAndThreads) {
  const int rounds = 5'000 / weft_test::slowness;
  weft::mutex lock;
  int count = 0;
  weft_test::crowd(how(), 4, [&](int i) {
    for (int k = 0; k < rounds; ++k) {
      if ((i + k) % 7 == 0)
        while (!lock.try_lock_for(std::chrono::microseconds(1 + k % 20))) {
        }
      else
        lock.lock();
      const int before = count;
      if ((i + k) % 200 == 0) std::this_thread::yield();
      count = before + 1;
      lock.unlock();
    }
  });
  EXPECT_EQ(count, 12 * rounds);
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST_P(Mutex, TryLockNeverWaits) {
  inside([] {
    weft::mutex lock;
    EXPECT_TRUE(lock.try_lock());
    EXPECT_FALSE(lock.try_lock());
    weft::go([&] { EXPECT_FALSE(lock.try_lock()); }).join();
    lock.unlock();
    weft::go([&] {
      EXPECT_TRUE(lock.try_lock());
      lock.unlock();
    }).join();
  });
}

TEST_P(Mutex, TriesThatTimeOutLeaveNothingBehind) {
  inside([] {
    weft::timed_mutex lock;
    lock.lock();
    weft::go([&] {
      EXPECT_FALSE(lock.try_lock_for(0s));
      EXPECT_FALSE(lock.try_lock_for(-1h));
      EXPECT_FALSE(lock.try_lock_for(100us));
      EXPECT_FALSE(lock.try_lock_until(std::chrono::steady_clock::now() + 100us));
      EXPECT_FALSE(lock.try_lock_until(std::chrono::system_clock::now() + 100us));
    }).join();
    auto patient = weft::go([&] {
      EXPECT_TRUE(lock.try_lock_for(std::chrono::hours::max()));
      lock.unlock();
      EXPECT_TRUE(lock.try_lock_until(std::chrono::system_clock::time_point::max()));
      lock.unlock();
    });
    weft_test::until_parked(1);
    lock.unlock();
    patient.join();
  });
}

TEST_P(Mutex, IgnoresCancellation) {
  inside([] {
    weft::mutex lock;
    lock.lock();
    auto waiter = weft::go([&] {
      lock.lock();
      lock.unlock();
      weft::check_cancelled();
      ADD_FAILURE();
    });
    weft_test::until_parked(1);
    waiter.cancel();
    weft::yield();
    EXPECT_FALSE(waiter.done());
    lock.unlock();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
  });
}

TEST_P(Mutex, AnOwnerThatKeepsComingBackPassesNobodyOverForEver) {
  inside([] {
    weft::mutex lock;
    int through = 0;
    lock.lock();
    weft::group tasks;
    for (int i = 0; i < 3; ++i)
      tasks.go([&] {
        const std::lock_guard<weft::mutex> hold(lock);
        ++through;
      });
    weft_test::until_parked(3);
    // Never parks while it has the mutex free, so only a hand-over lets the others in.
    do {
      lock.unlock();
      lock.lock();
    } while (through < 3);
    lock.unlock();
    tasks.wait();
  });
}

// The owner parks with the mutex held, so who was woken finds it taken each time.
TEST_P(Mutex, AnOwnerThatParksPassesNobodyOverForEver) {
  inside([] {
    weft::mutex lock;
    std::atomic<bool> through{false};
    lock.lock();
    auto waiter = weft::go([&] {
      const std::lock_guard<weft::mutex> hold(lock);
      through = true;
    });
    weft_test::until_parked(1);
    int turns = 0;
    for (; !through; ++turns) {
      lock.unlock();
      lock.lock();
      for (int i = 0; i < 100 && !through; ++i) weft::yield();
    }
    lock.unlock();
    waiter.join();
    EXPECT_LT(turns, 10);
  });
}

TEST_P(Mutex, LockingTwiceIsReported) {
  inside([] {
    weft::mutex lock;
    lock.lock();
    EXPECT_EQ(code_of([&] { lock.lock(); }), std::errc::resource_deadlock_would_occur);
    EXPECT_EQ(code_of([&] { (void)lock.try_lock_for(1s); }),
              std::errc::resource_deadlock_would_occur);
    lock.unlock();
  });
}

TEST_P(Mutex, UnlockingWhatOneDoesNotHaveIsReported) {
  inside([] {
    weft::mutex lock;
    EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
    lock.lock();
    weft::go([&] {
      EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
    }).join();
    std::thread([&] {
      EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
    }).join();
    lock.unlock();
  });
}

TEST_P(Mutex, WorksWithScopedLockOverSeveral) {
  inside([] {
    const int rounds = 500 / weft_test::slowness;
    weft::mutex a;
    weft::mutex b;
    std::mutex c;  // held across no park
    int count = 0;
    weft::group tasks;
    for (int i = 0; i < 10; ++i)
      tasks.go([&, i] {
        for (int k = 0; k < rounds; ++k) {
          if (i % 2 == 0) {
            const std::scoped_lock hold(a, b);
            ++count;
          } else {
            const std::scoped_lock hold(b, a);
            ++count;
          }
          const std::scoped_lock mixed(c, a);
          ++count;
        }
      });
    tasks.wait();
    EXPECT_EQ(count, 20 * rounds);
  });
}

TEST_P(Mutex, ARecursiveOneIsFreeAfterAsManyUnlocks) {
  inside([] {
    weft::recursive_mutex lock;
    lock.lock();
    lock.lock();
    EXPECT_TRUE(lock.try_lock());
    EXPECT_TRUE(lock.try_lock_for(1s));
    auto other = weft::go([&] {
      EXPECT_FALSE(lock.try_lock());
      EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
      const std::lock_guard<weft::recursive_mutex> hold(lock);
    });
    weft_test::until_parked(1);
    for (int i = 0; i < 4; ++i) {
      EXPECT_FALSE(other.done());
      lock.unlock();
    }
    other.join();
    EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
  });
}

TEST_P(MutexDeathTest, DestroyingALockedOneIsReported) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        weft::mutex lock;
        lock.lock();
      },
      "a mutex was destroyed while it was locked");
}

TEST_P(MutexDeathTest, AGuardThatUnlocksAnothersMutexEndsTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        weft::mutex lock;
        const std::lock_guard<weft::mutex> hold(lock);
        lock.unlock();
      },
      "mutex unlocked by one that does not have it");
}

}  // namespace
