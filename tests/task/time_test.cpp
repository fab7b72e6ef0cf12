// Sleeping and tickers.
#include <weft/time.hpp>

#include <limits>
#include <stdexcept>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class Sleep : public weft_test::fiber_fixture {};
FIBER_SUITE(Sleep);
class Ticker : public weft_test::fiber_fixture {};
FIBER_SUITE(Ticker);

void spin_for(std::chrono::nanoseconds d) {
  for (const auto end = steady_clock::now() + d; steady_clock::now() < end;) {
  }
}

TEST_P(Sleep, IsNeverShort) {
  inside([] {
    spin_for(5ms);  // a cached clock would be late now, and the sleep early
    weft::group sleepers;
    for (int i = 0; i < 300; ++i)
      sleepers.go([i] {
        const auto wanted = std::chrono::microseconds((i * 7919) % 5000);
        const auto start = steady_clock::now();
        weft::sleep(wanted);
        EXPECT_GE(steady_clock::now() - start, wanted);
      });
    sleepers.wait();
  });
}

TEST_P(Sleep, ZeroNegativeAndThePastReturnAtOnce) {
  inside([] {
    weft::sleep(0s);
    weft::sleep(-1h);
    weft::sleep(std::chrono::nanoseconds::min());
    weft::sleep(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
    weft::sleep_until(steady_clock::time_point::min());
    weft::sleep_until(steady_clock::now() - 1s);
  });
}

TEST_P(Sleep, HugeDurationsDoNotOverflow) {
  inside([] {
    weft::group sleepers;
    sleepers.go([] { weft::sleep(std::chrono::nanoseconds::max()); });
    sleepers.go([] { weft::sleep(std::chrono::hours::max()); });
    sleepers.go([] { weft::sleep(std::chrono::duration<double>(1e300)); });
    sleepers.go([] { weft::sleep_until(steady_clock::time_point::max()); });
    auto wide = sleepers.go(
        [] { weft::sleep(std::chrono::duration<long double, std::ratio<86400>>(1e30L)); });
    EXPECT_FALSE(wide.wait_for(5ms));
    sleepers.cancel();
  });
}

TEST_P(Sleep, PeriodsThatAreNoWholeNanosecondsDoNotOverflow) {
  inside([] {
    weft::group sleepers;
    using thirds = std::chrono::duration<std::int64_t, std::ratio<1, 3>>;
    using frames = std::chrono::duration<std::int64_t, std::ratio<1, 60>>;
    auto one = sleepers.go([] { weft::sleep(thirds(27'000'000'000)); });
    auto two = sleepers.go([] { weft::sleep(frames(540'000'000'000)); });
    weft_test::until_parked(2);
    EXPECT_FALSE(one.done() || two.done());
    sleepers.cancel();
    sleepers.wait();
    weft::sleep(thirds(-27'000'000'000));
    weft::sleep(frames(1));
  });
}

TEST_P(Sleep, ShorterOnesEndFirst) {
  inside([] {
    auto late = weft::go([] { weft::sleep(1h); });
    auto early = weft::go([] { weft::sleep(5ms); });
    early.join();
    EXPECT_FALSE(late.done());
    late.cancel();
    EXPECT_THROW(late.join(), weft::fiber_cancelled);
  });
}

TEST_P(Ticker, DoesNotDrift) {
  inside([] {
    const auto start = steady_clock::now();
    weft::ticker every(2ms);
    std::uint64_t ticks = 0;
    while (ticks < 20) {
      ticks += every.next() + 1;
      EXPECT_GE(steady_clock::now() - start, 2ms * ticks);
      if (ticks % 5 == 0) spin_for(1ms);
    }
  });
}

TEST_P(Ticker, SkipsWhatWasMissedAndSaysSo) {
  inside([] {
    weft::ticker every(1ms);
    spin_for(10ms);
    EXPECT_GE(every.next(), 8u);
  });
}

TEST_P(Ticker, NeedsAPositivePeriod) {
  inside([] {
    EXPECT_THROW(weft::ticker(0ms), std::invalid_argument);
    EXPECT_THROW(weft::ticker(-1s), std::invalid_argument);
  });
}

}  // namespace
