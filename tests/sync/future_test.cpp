// promise, future and shared_future, between fibers and plain threads.
#include <weft/future.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;
using weft::future;
using weft::promise;

class Future : public weft_test::fiber_fixture {};
FIBER_SUITE(Future);

template <class F>
void expect_code(std::future_errc code, F&& call) {
  try {
    call();
    ADD_FAILURE() << "nothing thrown";
  } catch (const std::future_error& found) {
    EXPECT_EQ(found.code(), code) << found.what();
  }
}

TEST_P(Future, CarriesAValueBetweenFibers) {
  inside([] {
    promise<std::string> said;
    auto heard = said.get_future();
    auto listener = weft::go([&] { return heard.get(); });
    weft_test::until_parked(1);
    said.set_value("hello");
    EXPECT_EQ(listener.join(), "hello");
    EXPECT_FALSE(heard.valid());
  });
}

TEST_P(Future, CarriesAValueBetweenFiberAndThreadBothWays) {
  inside([] {
    promise<int> question;
    promise<int> answer;
    auto asked = question.get_future();
    std::thread other([&] { answer.set_value(asked.get() + 1); });
    question.set_value(41);
    EXPECT_EQ(answer.get_future().get(), 42);
    other.join();
  });
}

TEST(PlainFuture, CarriesAValueBetweenThreads) {
  promise<int> sent;
  std::thread other([&] { sent.set_value(3); });
  EXPECT_EQ(sent.get_future().get(), 3);
  other.join();
}

TEST_P(Future, HoldsMoveOnlyTypesReferencesAndNothing) {
  inside([] {
    promise<std::unique_ptr<int>> owner;
    owner.set_value(std::make_unique<int>(1));
    EXPECT_EQ(*owner.get_future().get(), 1);
    int local = 2;
    promise<int&> reference;
    reference.set_value(local);
    EXPECT_EQ(&reference.get_future().get(), &local);
    promise<void> nothing;
    auto done = nothing.get_future();
    EXPECT_FALSE(done.ready());
    nothing.set_value();
    EXPECT_TRUE(done.ready());
    done.get();
    promise<std::vector<int>> braces;
    braces.set_value({1, 2, 3});
    EXPECT_EQ(braces.get_future().get().size(), 3u);
    const std::string fixed = "copied";
    promise<std::string> copies;
    copies.set_value(fixed);
    EXPECT_EQ(copies.get_future().get(), fixed);
  });
}

TEST_P(Future, AnExceptionIsThrownByGet) {
  inside([] {
    promise<int> fails;
    auto result = fails.get_future();
    fails.set_exception(std::make_exception_ptr(std::domain_error("no")));
    result.wait();
    EXPECT_THROW(result.get(), std::domain_error);
    EXPECT_FALSE(result.valid());
  });
}

TEST_P(Future, TheExceptionDiesWhereItWasCaught) {
  inside([] {
    promise<int> fails;
    auto result = fails.get_future();
    const auto inside_it = std::make_shared<int>(1);
    fails.set_exception(std::make_exception_ptr(inside_it));
    EXPECT_THROW(result.get(), std::shared_ptr<int>);
    EXPECT_EQ(inside_it.use_count(), 1) << "the promise is still there, what it was given is not";
  });
}

TEST_P(Future, MisuseHasTheCodesOfStd) {
  inside([] {
    promise<int> p;
    auto f = p.get_future();
    expect_code(std::future_errc::future_already_retrieved, [&] { p.get_future(); });
    p.set_value(1);
    expect_code(std::future_errc::promise_already_satisfied, [&] { p.set_value(2); });
    expect_code(std::future_errc::promise_already_satisfied,
                [&] { p.set_exception(std::make_exception_ptr(1)); });
    EXPECT_EQ(f.get(), 1);
    expect_code(std::future_errc::no_state, [&] { f.get(); });
    expect_code(std::future_errc::no_state, [&] { f.wait(); });
    expect_code(std::future_errc::no_state, [&] { f.wait_for(1ms); });
    promise<int> other = std::move(p);
    expect_code(std::future_errc::no_state, [&] { p.set_value(3); });  // NOLINT: moved from
    expect_code(std::future_errc::no_state, [&] { p.get_future(); });
    expect_code(std::future_errc::future_already_retrieved, [&] { other.get_future(); });
    expect_code(std::future_errc::no_state, [] { future<int>().get(); });
  });
}

TEST_P(Future, ADroppedPromiseIsBroken) {
  inside([] {
    future<int> f;
    {
      promise<int> p;
      f = p.get_future();
      EXPECT_EQ(f.wait_for(0s), std::future_status::timeout);
    }
    EXPECT_EQ(f.wait_for(0s), std::future_status::ready);
    expect_code(std::future_errc::broken_promise, [&] { f.get(); });
    promise<int> replaced;
    auto parked = weft::go([g = replaced.get_future()]() mutable {
      expect_code(std::future_errc::broken_promise, [&] { g.get(); });
    });
    weft_test::until_parked(1);
    replaced = promise<int>();
    parked.join();
    promise<int> kept;
    {
      promise<int> moved = std::move(kept);
      moved.set_value(5);
      f = moved.get_future();
    }
    EXPECT_EQ(f.get(), 5);
  });
}

TEST_P(Future, WaitsForLimitedTimes) {
  inside([] {
    promise<int> p;
    auto f = p.get_future();
    using std::future_status;
    EXPECT_EQ(f.wait_for(-1h), future_status::timeout);
    EXPECT_EQ(f.wait_for(1ms), future_status::timeout);
    EXPECT_EQ(f.wait_until(std::chrono::steady_clock::now() + 1ms), future_status::timeout);
    EXPECT_EQ(f.wait_until(std::chrono::system_clock::now() + 1ms), future_status::timeout);
    EXPECT_EQ(f.wait_until(std::chrono::steady_clock::time_point::min()), future_status::timeout);
    auto setter = weft::go([&] {
      weft::sleep(1ms);
      p.set_value(1);
    });
    EXPECT_EQ(f.wait_for(std::chrono::hours::max()), future_status::ready);
    EXPECT_EQ(f.wait_until(std::chrono::system_clock::now() - 1h), future_status::ready);
    setter.join();
  });
  promise<int> p;
  auto f = p.get_future();
  EXPECT_EQ(f.wait_for(1ms), std::future_status::timeout);
  EXPECT_EQ(f.wait_until(std::chrono::system_clock::now() + 1ms), std::future_status::timeout);
  std::thread other([&] { p.set_value(1); });
  EXPECT_EQ(f.wait_until(std::chrono::steady_clock::time_point::max()), std::future_status::ready);
  other.join();
}

TEST_P(Future, ACancelledWaitLeavesTheFutureValid) {
  inside([] {
    promise<int> p;
    auto f = p.get_future();
    auto waiter = weft::go([&] { f.get(); });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    EXPECT_TRUE(f.valid());
    EXPECT_THROW(weft::with_timeout(1ms, [&] { f.wait(); }), weft::timed_out);
    p.set_value(4);
    EXPECT_EQ(f.get(), 4);
  });
}

TEST_P(Future, SharedByManyFibersAndThreads) {
  inside([] {
    promise<std::string> p;
    weft::shared_future<std::string> all = p.get_future();
    std::atomic<int> heard{0};
    std::vector<weft::fiber<void>> fibers;
    for (int i = 0; i < 20; ++i)
      fibers.push_back(weft::go([&heard, all] {
        if (all.get() == "everyone") ++heard;
      }));
    std::thread other([&heard, all] {
      if (all.get() == "everyone") ++heard;
    });
    weft_test::until_parked(20);
    p.set_value("everyone");
    for (auto& each : fibers) each.join();
    other.join();
    EXPECT_EQ(heard, 21);
    EXPECT_EQ(&all.get(), &all.get());
    EXPECT_TRUE(all.valid());

    promise<void> fails;
    auto nothing = fails.get_future().share();
    fails.set_exception(std::make_exception_ptr(std::domain_error("for all")));
    auto copy = nothing;
    EXPECT_THROW(nothing.get(), std::domain_error);
    EXPECT_THROW(copy.get(), std::domain_error);
  });
}

TEST_P(Future, RacesSetterAgainstTimeoutAndDestruction) {
  const int rounds = 20'000 / weft_test::slowness / (GetParam() == 8 ? 4 : 1);
  int ready = 0;
  int late = 0;
  inside([&] {
    for (int i = 0; i < rounds; ++i) {
      promise<int> p;
      auto f = p.get_future();
      auto setter = weft::go([sent = std::move(p), i]() mutable {
        if (i % 3 == 0) weft::sleep(std::chrono::microseconds(i % 7));
        sent.set_value(i);
      });
      if (f.wait_for(std::chrono::microseconds(i % 11)) == std::future_status::ready) {
        ++ready;
        EXPECT_EQ(f.get(), i);
      } else {
        ++late;
        if (i % 2 == 0) f = future<int>();
      }
      setter.join();
      if (f.valid()) {
        EXPECT_EQ(f.get(), i);
      }
    }
  });
  EXPECT_EQ(ready + late, rounds);
}

TEST_P(Future, TwoSettersOneWins) {
  const int rounds = 20'000 / weft_test::slowness / (GetParam() == 8 ? 4 : 1);
  inside([&] {
    for (int i = 0; i < rounds; ++i) {
      promise<int> p;
      auto f = p.get_future();
      std::atomic<int> refused{0};
      auto set = [&](int value) {
        try {
          p.set_value(value);
        } catch (const std::future_error&) {
          ++refused;
        }
      };
      auto a = weft::go(set, 1);
      auto b = weft::go(set, 2);
      const int got = f.get();
      EXPECT_TRUE(got == 1 || got == 2);
      a.join();
      b.join();
      EXPECT_EQ(refused, 1);
    }
  });
}

TEST_P(Future, ThePromiseMayGoOnceTheResultIsThere) {
  inside([] {
    weft_test::destroy_at_once<promise<int>>(
        20'000 / weft_test::slowness, [] { return std::make_unique<promise<int>>(); },
        [](promise<int>& p) { p.set_value(1); },
        [](promise<int>& p) {
          auto f = p.get_future();
          while (!f.ready()) weft::yield();
          EXPECT_EQ(f.get(), 1);
        });
  });
}

}  // namespace
