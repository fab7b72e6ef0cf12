// await_callback: completions from fibers, threads and the starter, against cancellation and time.
#include <weft/await.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::completer;

class Await : public weft_test::fiber_fixture {};
FIBER_SUITE(Await);

// A thread that calls what it is given, as the thread of a C library would.
class caller {
 public:
  caller() : thread_([this] { main(); }) {}
  ~caller() {
    post(nullptr);
    thread_.join();
  }
  void post(std::function<void()> call) {
    {
      std::lock_guard<std::mutex> hold(lock_);
      calls_.push_back(std::move(call));
    }
    filled_.notify_one();
  }

 private:
  void main() {
    std::unique_lock<std::mutex> hold(lock_);
    for (std::size_t at = 0;; ++at) {
      filled_.wait(hold, [&] { return at < calls_.size(); });
      auto call = std::move(calls_[at]);
      hold.unlock();
      if (call == nullptr) return;
      call();
      call = nullptr;
      hold.lock();
    }
  }

  std::mutex lock_;
  std::condition_variable filled_;
  std::vector<std::function<void()>> calls_;
  std::thread thread_;
};

bool is_broken(const std::future_error& found) {
  return found.code() == std::future_errc::broken_promise;
}

TEST_P(Await, ReturnsWhatAnyThreadOrFiberGives) {
  inside([] {
    caller elsewhere;
    EXPECT_EQ(weft::await_callback<int>(
                  [&](completer<int> done) { elsewhere.post([done] { EXPECT_TRUE(done(5)); }); }),
              5);
    EXPECT_EQ(weft::await_callback<std::string>(
                  [](completer<std::string> done) { weft::go([done] { done("fiber"); }); }),
              "fiber");
    EXPECT_EQ(weft::await_callback<int>([](auto done) { done(7); }), 7);
    weft::await_callback<void>([&](completer<void> done) { elsewhere.post([done] { done(); }); });
  });
}

TEST_P(Await, WorksOnAPlainThread) {
  caller elsewhere;
  EXPECT_EQ(
      weft::await_callback<int>([&](completer<int> done) { elsewhere.post([done] { done(5); }); }),
      5);
  weft::await_callback<void>([](completer<void> done) { done(); });
}

TEST_P(Await, CarriesMoveOnlyValuesAndReferences) {
  inside([] {
    caller elsewhere;
    auto owned = weft::await_callback<std::unique_ptr<int>>(
        [&](auto done) { elsewhere.post([done] { done(std::make_unique<int>(3)); }); });
    EXPECT_EQ(*owned, 3);
    int local = 0;
    int& same = weft::await_callback<int&>([&](auto done) { done(local); });
    EXPECT_EQ(&same, &local);
  });
}

TEST_P(Await, OnlyTheFirstCallCounts) {
  inside([] {
    std::optional<completer<int>> late;
    EXPECT_EQ(weft::await_callback<int>([&](completer<int> done) {
                EXPECT_TRUE(done(1));
                EXPECT_FALSE(done(2));
                EXPECT_FALSE(done.fail(std::make_exception_ptr(1)));
                late = done;
              }),
              1);
    EXPECT_FALSE((*late)(3));
  });
}

TEST_P(Await, AFailureIsThrown) {
  inside([] {
    EXPECT_THROW(weft::await_callback<int>([](completer<int> done) {
                   done.fail(std::make_exception_ptr(std::domain_error("remote")));
                 }),
                 std::domain_error);
    EXPECT_THROW(weft::await_callback<int>([](completer<int> done) { done.fail(nullptr); }),
                 std::bad_exception);
  });
}

TEST_P(Await, WithoutACompleterThePromiseIsBroken) {
  inside([] {
    auto expect_broken = [](auto start) {
      try {
        weft::await_callback<int>(start);
        ADD_FAILURE() << "nothing thrown";
      } catch (const std::future_error& found) {
        EXPECT_TRUE(is_broken(found));
      }
    };
    expect_broken([](completer<int>) {});
    expect_broken([](const completer<int>& done) {
      auto copies = std::make_shared<std::vector<completer<int>>>(5, done);
      weft::go([copies] { weft::yield(); });
    });
    caller elsewhere;
    expect_broken([&](completer<int> done) {
      elsewhere.post([taken = std::move(done)] { static_cast<void>(taken); });
    });
  });
}

TEST_P(Await, WhatTheStarterThrowsComesThrough) {
  inside([] {
    std::optional<completer<int>> kept;
    EXPECT_THROW(weft::await_callback<int>([&](completer<int> done) {
                   kept = done;
                   throw std::domain_error("cannot start");
                 }),
                 std::domain_error);
    EXPECT_TRUE((*kept)(1));  // into the void
    EXPECT_THROW(weft::await_callback<int>([&](completer<int> done) {
                   done(1);
                   throw std::domain_error("after all");
                 }),
                 std::domain_error);
  });
}

TEST_P(Await, AValueWhoseMoveThrowsDoesNotCount) {
  struct touchy {
    int value = 0;
    bool throws = false;
    touchy() = default;
    touchy(int n, bool t) : value(n), throws(t) {}
    touchy(touchy&& other) : value(other.value), throws(other.throws) {
      if (throws) throw std::runtime_error("move");
    }
  };
  inside([] {
    touchy got = weft::await_callback<touchy>([](completer<touchy> done) {
      EXPECT_THROW(done(touchy(1, true)), std::runtime_error);
      EXPECT_TRUE(done(touchy(2, false)));
    });
    EXPECT_EQ(got.value, 2);
  });
}

void c_callback(int value, void* user) { completer<int>::from(user)(value); }

TEST_P(Await, GoesThroughAVoidPointer) {
  inside([] {
    caller elsewhere;
    EXPECT_EQ(weft::await_callback<int>([&](completer<int> done) {
                void* user = std::move(done).release();
                EXPECT_FALSE(done);  // NOLINT(bugprone-use-after-move)
                elsewhere.post([user] { c_callback(8, user); });
              }),
              8);
    // Taken back and dropped.
    EXPECT_THROW(weft::await_callback<int>([&](completer<int> done) {
                   void* user = completer<int>(done).release();
                   completer<int>::from(user);
                 }),
                 std::future_error);
    EXPECT_FALSE(completer<int>::from(nullptr));
    EXPECT_THROW(completer<int>()(1), std::future_error);
  });
}

TEST_P(Await, CancellationEndsTheWaitAtOnce) {
  inside([] {
    std::optional<completer<std::string>> late;
    auto waiter = weft::go([&] {
      weft::await_callback<std::string>([&](completer<std::string> done) { late = done; });
    });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    EXPECT_TRUE((*late)("nobody hears it"));
    EXPECT_FALSE((*late)("twice"));
  });
}

TEST_P(Await, ATimeoutEndsTheWait) {
  inside([] {
    std::optional<completer<int>> late;
    EXPECT_THROW(
        weft::with_timeout(
            1ms,
            [&] { return weft::await_callback<int>([&](completer<int> done) { late = done; }); }),
        weft::timed_out);
    (*late)(1);
  });
}

TEST_P(Await, AResultThatIsThereIsReturnedInSpiteOfCancellation) {
  inside([] {
    std::atomic<bool> begun{false};
    std::atomic<bool> is_cancelled{false};
    auto child = weft::go([&] {
      begun = true;
      {
        weft::shield safe;
        while (!is_cancelled) weft::yield();
      }
      return weft::await_callback<int>([](completer<int> done) { done(6); });
    });
    while (!begun) weft::yield();
    child.cancel();
    is_cancelled = true;
    EXPECT_EQ(child.join(), 6);
  });
}

// Each round ends either with the value or cancelled; each value given is destroyed once.
TEST_P(Await, RacesCompletionAgainstCancellation) {
  const int rounds = 100'000 / weft_test::slowness / (GetParam() == 8 ? 4 : 1);
  std::atomic<int> alive{0};
  struct counted {
    std::atomic<int>* alive;
    explicit counted(std::atomic<int>& at) : alive(&at) { ++*alive; }
    counted(counted&& other) noexcept : alive(other.alive) { ++*alive; }
    counted& operator=(const counted&) = delete;
    ~counted() { --*alive; }
  };
  int got = 0;
  int cancelled = 0;
  std::atomic<int> effective{0};
  inside([&] {
    for (int i = 0; i < rounds; ++i) {
      std::optional<completer<counted>> done;
      std::atomic<bool> parked{false};
      auto waiter = weft::go([&] {
        weft::await_callback<counted>([&](completer<counted> of) {
          done = std::move(of);
          parked.store(true, std::memory_order_release);
        });
      });
      while (!parked.load(std::memory_order_acquire)) weft::yield();
      auto completing = weft::go([&] {
        if ((*done)(counted(alive))) ++effective;
      });
      if (i % 2 == 0) weft::yield();
      waiter.cancel();
      try {
        waiter.join();
        ++got;
      } catch (const weft::fiber_cancelled&) {
        ++cancelled;
      }
      completing.join();
    }
  });
  EXPECT_EQ(got + cancelled, rounds);
  EXPECT_EQ(effective, rounds);
  EXPECT_GT(got, 0);
  EXPECT_EQ(alive, 0);
}

TEST_P(Await, RacesCompletionAgainstTimeout) {
  const int rounds = 20'000 / weft_test::slowness / (GetParam() == 8 ? 4 : 1);
  int got = 0;
  int late = 0;
  std::atomic<int> effective{0};
  inside([&] {
    caller elsewhere;
    for (int i = 0; i < rounds; ++i) {
      try {
        got += weft::with_timeout(std::chrono::microseconds(i % 40), [&] {
          return weft::await_callback<int>([&](completer<int> done) {
            elsewhere.post([done, &effective] {
              if (done(1)) ++effective;
            });
          });
        });
      } catch (const weft::timed_out&) {
        ++late;
      }
    }
  });
  EXPECT_EQ(got + late, rounds);
  EXPECT_EQ(effective, rounds);
}

TEST_P(Await, RacesCompletionAgainstTheLastCopy) {
  const int rounds = 100'000 / weft_test::slowness / (GetParam() == 8 ? 4 : 1);
  int got = 0;
  int broken = 0;
  std::atomic<int> effective{0};
  inside([&] {
    for (int i = 0; i < rounds; ++i) {
      try {
        got += weft::await_callback<int>([&](completer<int> done) {
          for (int k = 0; k < 3; ++k)
            weft::go([done, k, i, &effective]() mutable {
              if (k == i % 4 && done(1)) ++effective;
              done = completer<int>();
            });
        });
      } catch (const std::future_error&) {
        ++broken;
      }
    }
  });
  EXPECT_EQ(got, effective);
  EXPECT_EQ(got + broken, rounds);
  EXPECT_EQ(broken, rounds / 4);
}

// The one who completes may be the last to know of the runtime, which is gone by then.
TEST_P(Await, TheRuntimeMayEndWhileACompletionIsOnItsWay) {
  caller elsewhere;
  for (int i = 0; i < 500 / weft_test::slowness; ++i) {
    inside([&] {
      weft::await_callback<void>([&](completer<void> done) { elsewhere.post([done] { done(); }); });
    });
  }
}

}  // namespace
