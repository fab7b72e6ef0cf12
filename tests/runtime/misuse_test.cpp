// Wrong calls, wrong places, wrong times: each is told what is wrong, and none hangs.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Misuse : public weft_test::fiber_fixture {};
FIBER_SUITE(Misuse);

template <class F>
std::string complaint(F&& f) {
  try {
    f();
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return "none";
}

TEST_P(Misuse, ParkingUnderANoSuspendGuardNamesFiberAndCall) {
  inside([] {
    weft::this_fiber::set_name("careless");
    {
      weft::no_suspend_guard here;
      const std::string text = complaint([] { weft::sleep(1ms); });
      EXPECT_NE(text.find("\"careless\" would park in sleep"), std::string::npos) << text;
      EXPECT_NE(complaint([] { weft::yield(); }), "none");
      EXPECT_NE(complaint([] { weft::sleep(0s); }), "none");  // lets others run, as yield()
      EXPECT_NE(complaint([] { weft::sleep_until({}); }), "none");
      EXPECT_NE(complaint([] { weft::go([] {}).join(); }), "none");
      { weft::no_suspend_guard nested; }
      EXPECT_NE(complaint([] { weft::sleep(1ms); }), "none");
      weft::check_cancelled();  // does not park
    }
    weft::sleep(1us);
    weft::yield();
  });
  weft::no_suspend_guard outside;  // no fiber, nothing to guard
}

TEST_P(Misuse, FiberOnlyCallsOutsideAFiberSayWhatToDo) {
  for (const std::string& text :
       {complaint([] { weft::sleep(1ms); }), complaint([] { weft::yield(); }),
        complaint([] { weft::go([] {}); }), complaint([] { weft::group nothing; }),
        complaint([] { weft::gather([] {}); }), complaint([] { weft::race([] {}); }),
        complaint([] { weft::shield nothing; }), complaint([] { weft::pin_guard nothing; }),
        complaint([] { weft::with_timeout(1s, [] {}); }),
        complaint([] { weft::this_fiber::id(); })})
    EXPECT_NE(text.find("weft::run()"), std::string::npos) << text;
}

TEST_P(Misuse, ARuntimeThatWasShutDownStartsNothing) {
  weft::runtime fibers(how());
  fibers.go([] {}).join();
  fibers.shutdown();
  EXPECT_NE(complaint([&] { fibers.go([] {}); }).find("shut down"), std::string::npos);
}

TEST_P(Misuse, DurationsOfEverySizeAreTaken) {
  inside([] {
    using nanos = std::chrono::nanoseconds;
    using hours = std::chrono::hours;
    auto sleeper = weft::go([] { weft::sleep(1h); });
    EXPECT_FALSE(sleeper.wait_for(nanos::min()));
    EXPECT_FALSE(sleeper.wait_for(-1s));
    EXPECT_FALSE(sleeper.wait_for(0s));
    weft::sleep(hours::min());
    weft::sleep_until(std::chrono::steady_clock::time_point::min());
    for (int i = 0; i < 4; ++i) {
      auto waiter = weft::go([&, i] {
        if (i == 0) sleeper.wait_for(hours::max());
        if (i == 1) weft::sleep(hours::max());
        if (i == 2) weft::sleep_until(std::chrono::steady_clock::time_point::max());
        if (i == 3) weft::with_timeout(hours::max(), [] { weft::sleep(nanos::max()); });
      });
      weft_test::until_parked(2);
      EXPECT_FALSE(waiter.done());
      waiter.cancel();
      EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    }
    sleeper.cancel();
    sleeper.wait();
  });
}

// Each runs in a child process, since it is the end of one that is looked at.
template <class F>
int status_of(F&& f) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    execl("/proc/self/exe", "misuse_test", f, nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(MisuseProcess, ExitOnAFiberEndsTheProcess) {
  const int status = status_of("exit-on-a-fiber");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(MisuseProcess, AStaticDestructorMayNotSpawnAndIsToldSo) {
  const int status = status_of("static-destructor");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
}

TEST(MisuseProcess, AStaticRuntimeEndsWithTheProcess) {
  const int status = status_of("static-runtime");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

int exit_on_a_fiber() {
  weft::options two;
  two.workers = 2;
  weft::run(two, [] {
    for (int i = 0; i < 10; ++i) weft::go([] { weft::sleep(1h); });
    weft::sleep(1ms);
    std::exit(3);
  });
  return 1;
}

int use_in_static_destructor() {
  static struct late {
    ~late() {
      if (complaint([] { weft::go([] {}); }) != "none") _exit(4);
    }
  } at_exit;
  weft::run([] {});
  std::exit(0);
}

int static_runtime() {
  static weft::runtime fibers;
  fibers.go([] { weft::sleep(1h); });
  fibers.go([] {}).join();
  std::exit(0);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2) {
    const std::string what = arguments[1];
    if (what == "exit-on-a-fiber") return exit_on_a_fiber();
    if (what == "static-destructor") return use_in_static_destructor();
    if (what == "static-runtime") return static_runtime();
  }
  testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
