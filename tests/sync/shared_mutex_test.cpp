#include <weft/shared_mutex.hpp>

#include <mutex>
#include <shared_mutex>
#include <system_error>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

class SharedMutex : public weft_test::fiber_fixture {};
FIBER_SUITE(SharedMutex);

class SharedMutexDeathTest : public weft_test::fiber_fixture {};
INSTANTIATE_TEST_SUITE_P(Workers, SharedMutexDeathTest, testing::Values(1u),
                         weft_test::workers_name);

std::errc code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::system_error& error) {
    return static_cast<std::errc>(error.code().value());
  }
  return {};
}

TEST_P(SharedMutex, ReadersShareAndWritersDoNot) {
  inside([] {
    weft::shared_mutex lock;
    int value = 0;
    std::atomic<int> readers{0};
    weft::group tasks;
    for (int i = 0; i < 20; ++i)
      tasks.go([&, i] {
        for (int k = 0; k < 100; ++k) {
          if (i % 4 == 0) {
            const std::unique_lock<weft::shared_mutex> hold(lock);
            EXPECT_EQ(readers, 0);
            const int before = value;
            weft::yield();
            value = before + 1;
          } else {
            const std::shared_lock<weft::shared_mutex> hold(lock);
            ++readers;
            const int before = value;
            weft::yield();
            EXPECT_EQ(value, before);
            --readers;
          }
        }
      });
    tasks.wait();
    EXPECT_EQ(value, 500);
  });
}

TEST_P(SharedMutex, AReaderThatComesLaterWaitsBehindAWriter) {
  inside([] {
    weft::shared_mutex lock;
    lock.lock_shared();
    EXPECT_TRUE(lock.try_lock_shared());
    lock.unlock_shared();
    std::vector<int> order;
    auto writer = weft::go([&] {
      const std::unique_lock<weft::shared_mutex> hold(lock);
      order.push_back(1);
    });
    weft_test::until_parked(1);
    EXPECT_FALSE(lock.try_lock_shared());
    auto reader = weft::go([&] {
      const std::shared_lock<weft::shared_mutex> hold(lock);
      order.push_back(2);
    });
    weft_test::until_parked(2);
    lock.unlock_shared();
    writer.join();
    reader.join();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
  });
}

TEST_P(SharedMutex, AWriterThatGivesUpLetsTheReadersBehindItGo) {
  inside([] {
    weft::shared_timed_mutex lock;
    lock.lock_shared();
    auto writer = weft::go([&] { EXPECT_FALSE(lock.try_lock_for(20ms)); });
    weft_test::until_parked(1);
    auto reader = weft::go([&] {
      lock.lock_shared();
      lock.unlock_shared();
    });
    weft_test::until_parked(2);
    reader.join();  // though we still read
    writer.join();
    lock.unlock_shared();
  });
}

TEST_P(SharedMutex, TriesThatTimeOutLeaveNothingBehind) {
  inside([] {
    weft::shared_mutex lock;
    lock.lock();
    weft::go([&] {
      EXPECT_FALSE(lock.try_lock());
      EXPECT_FALSE(lock.try_lock_shared());
      EXPECT_FALSE(lock.try_lock_for(0s));
      EXPECT_FALSE(lock.try_lock_for(100us));
      EXPECT_FALSE(lock.try_lock_shared_for(100us));
      EXPECT_FALSE(lock.try_lock_until(std::chrono::system_clock::now() + 100us));
      EXPECT_FALSE(lock.try_lock_shared_until(std::chrono::steady_clock::now() + 100us));
    }).join();
    auto patient = weft::go([&] {
      EXPECT_TRUE(lock.try_lock_shared_for(std::chrono::hours::max()));
      lock.unlock_shared();
      EXPECT_TRUE(lock.try_lock_until(std::chrono::steady_clock::time_point::max()));
      lock.unlock();
    });
    weft_test::until_parked(1);
    lock.unlock();
    patient.join();
  });
}

TEST_P(SharedMutex, IgnoresCancellation) {
  inside([] {
    weft::shared_mutex lock;
    lock.lock();
    auto waiter = weft::go([&] {
      lock.lock_shared();
      lock.unlock_shared();
      weft::check_cancelled();
    });
    weft_test::until_parked(1);
    waiter.cancel();
    weft::yield();
    EXPECT_FALSE(waiter.done());
    lock.unlock();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
  });
}

TEST_P(SharedMutex, MistakesAreReported) {
  inside([] {
    weft::shared_mutex lock;
    EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
    EXPECT_EQ(code_of([&] { lock.unlock_shared(); }), std::errc::operation_not_permitted);
    lock.lock();
    EXPECT_EQ(code_of([&] { lock.lock(); }), std::errc::resource_deadlock_would_occur);
    EXPECT_EQ(code_of([&] { lock.lock_shared(); }), std::errc::resource_deadlock_would_occur);
    EXPECT_EQ(code_of([&] { lock.unlock_shared(); }), std::errc::operation_not_permitted);
    weft::go([&] {
      EXPECT_EQ(code_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
    }).join();
    lock.unlock();
  });
}

TEST_P(SharedMutexDeathTest, DestroyingALockedOneIsReported) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        weft::shared_mutex locked;
        locked.lock_shared();
      },
      "a shared_mutex was destroyed while it was locked");
}

TEST_P(SharedMutex, IsSharedByRuntimesAndThreads) {
  const int rounds = 1'000 / weft_test::slowness;
  weft::shared_mutex lock;
  int value = 0;
  weft_test::crowd(how(), 4, [&](int i) {
    for (int k = 0; k < rounds; ++k) {
      if ((i + k) % 4 == 0) {
        if (k % 8 == 0)
          while (!lock.try_lock_for(5us)) {
          }
        else
          lock.lock();
        ++value;
        lock.unlock();
      } else {
        const std::shared_lock<weft::shared_mutex> hold(lock);
        const int before = value;
        weft_test::tiny_pause(20);
        EXPECT_EQ(value, before);
      }
    }
  });
  EXPECT_EQ(value, 12 * rounds / 4);
}

TEST_P(SharedMutex, MayBeDestroyedBehindTheUnlock) {
  inside([] {
    struct shared {
      weft::shared_mutex lock;
      std::atomic<bool> taken{false};
    };
    weft_test::destroy_at_once<shared>(
        4'000 / weft_test::slowness, [] { return std::make_unique<shared>(); },
        [](shared& s) {
          s.lock.lock_shared();
          s.taken = true;
          weft_test::tiny_pause(50);
          s.lock.unlock_shared();
        },
        [](shared& s) {
          while (!s.taken) std::this_thread::yield();
          s.lock.lock();
          s.lock.unlock();
        });
  });
}

}  // namespace
