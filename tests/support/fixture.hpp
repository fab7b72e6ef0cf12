// The fixture of every test that runs fibers: the same body under 1, 2 and 8 workers, and when it
// is over nothing may be left: no fiber, stack, thread or descriptor.
//
//   using Sleep = weft_test::fiber_fixture;
//   FIBER_SUITE(Sleep);
//   TEST_P(Sleep, IsNeverShort) { inside([] { ... }); }
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>
#include <weft/weft.hpp>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>

#include "context/stack.hpp"
#include "sched/scheduler.hpp"

namespace weft_test {

using namespace std::chrono_literals;

// Sanitizers and a loaded machine make everything slower; counts scale, contracts do not.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int slowness = 10;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr int slowness = 10;
#else
inline constexpr int slowness = 1;
#endif
#else
inline constexpr int slowness = 1;
#endif

inline std::size_t entries_of(const char* folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (auto at = std::filesystem::directory_iterator(folder, ignored);
       at != std::filesystem::directory_iterator(); at.increment(ignored))
    ++count;
  return count;
}

// Runs others until that many fibers of this runtime are off their stacks in a parking call. What
// they did before is then seen here.
inline void until_parked(std::size_t fibers) {
  auto& all = static_cast<weft::detail::scheduler*>(weft::detail::current_fiber()->home)->fibers;
  for (;;) {
    std::size_t parked = 0;
    all.for_each([&parked](weft::detail::control& fiber) {
      using weft::detail::waitable;
      const std::uint32_t word = fiber.word.load(std::memory_order_acquire);
      if ((word & waitable::parked) != 0) ++parked;
    });
    if (parked >= fibers) return;
    weft::yield();
  }
}

inline std::size_t open_descriptors() { return entries_of("/proc/self/fd"); }
inline std::size_t live_threads() { return entries_of("/proc/self/task"); }

// Of a hang. More than a handler may do; but then it is just killed by the next alarm.
inline void tell_and_end(int) {
  ::signal(SIGALRM, SIG_DFL);
  alarm(5);
  weft::dump_fibers(std::cerr);
  ::raise(SIGALRM);
}

class fiber_fixture : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    ::signal(SIGALRM, tell_and_end);
    alarm(120);               // a hang is a failure with a name, not a stuck run
    weft::run(how(), [] {});  // what libraries open once is open now
    weft::runtime().shutdown();
    descriptors_ = open_descriptors();
    threads_ = live_threads();
    stacks_ = weft::detail::stacks::count().in_use;
  }

  void TearDown() override {
    EXPECT_EQ(weft::detail::stacks::count().in_use, stacks_) << "fiber stacks are left";
    // A joined thread is still listed for a moment: join returns before the kernel has taken it
    // off. And a look-up that nobody waits for any more ends by itself, its files open till then.
    // libuv's own pool stays once it has been used: four threads.
    for (int i = 0; i < 200; ++i) {
      if (open_descriptors() == descriptors_ && live_threads() <= threads_ + 4) break;
      usleep(5000);
    }
    EXPECT_EQ(open_descriptors(), descriptors_) << "descriptors are left";
    EXPECT_LE(live_threads(), threads_ + 4) << "threads are left";
    alarm(0);
  }

  weft::options how() const {
    weft::options options;
    options.workers = GetParam();
    return options;
  }

  template <class F>
  auto inside(F&& body) {
    return weft::run(how(), std::forward<F>(body));
  }

 private:
  std::size_t descriptors_ = 0;
  std::size_t threads_ = 0;
  std::size_t stacks_ = 0;
};

inline std::string workers_name(const testing::TestParamInfo<unsigned>& info) {
  return std::to_string(info.param) + "workers";
}

}  // namespace weft_test

#define FIBER_SUITE(Suite) \
  INSTANTIATE_TEST_SUITE_P(Workers, Suite, testing::Values(1u, 2u, 8u), weft_test::workers_name)
