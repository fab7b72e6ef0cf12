#include "base/this_thread.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace weft::detail {
namespace {

carrier* fake(std::uintptr_t number) { return reinterpret_cast<carrier*>(number); }

TEST(ThisThread, APlainThreadHasNoCarrier) {
  EXPECT_EQ(current_carrier(), nullptr);
  std::thread([] { EXPECT_EQ(current_carrier(), nullptr); }).join();
}

TEST(ThisThread, EachThreadHasItsOwnCarrier) {
  set_current_carrier(fake(64));
  std::thread([] {
    EXPECT_EQ(current_carrier(), nullptr);
    set_current_carrier(fake(128));
    EXPECT_EQ(current_carrier(), fake(128));
  }).join();
  EXPECT_EQ(current_carrier(), fake(64));
  set_current_carrier(nullptr);
  EXPECT_EQ(current_carrier(), nullptr);
}

}  // namespace
}  // namespace weft::detail
