#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace weft::detail {
namespace {

constexpr nanos least = std::numeric_limits<nanos>::min();

TEST(Clock, AddingUpToNeverIsExact) {
  EXPECT_EQ(saturating_add(0, 0), 0);
  EXPECT_EQ(saturating_add(5, 7), 12);
  EXPECT_EQ(saturating_add(never - 7, 7), never);
  EXPECT_EQ(saturating_add(never - 7, 6), never - 1);
  EXPECT_EQ(saturating_add(0, never), never);
}

TEST(Clock, AddingBeyondNeverIsNever) {
  EXPECT_EQ(saturating_add(1, never), never);
  EXPECT_EQ(saturating_add(never, 1), never);
  EXPECT_EQ(saturating_add(never, never), never);
  EXPECT_EQ(saturating_add(never - 7, 8), never);
}

TEST(Clock, ANegativeDelayLiesInThePast) {
  EXPECT_EQ(saturating_add(10, -3), 7);
  EXPECT_EQ(saturating_add(3, -10), -7);
  EXPECT_EQ(saturating_add(0, least), least);
  EXPECT_LT(saturating_add(1'000'000'000, least), 0);
  EXPECT_EQ(saturating_add(never, -1), never - 1);
}

TEST(Clock, SteadyTimeNeverRunsBackwards) {
  nanos before = steady_now();
  for (int i = 0; i < 1000; ++i) {
    const nanos now = steady_now();
    ASSERT_GE(now, before);
    before = now;
  }
}

}  // namespace
}  // namespace weft::detail
