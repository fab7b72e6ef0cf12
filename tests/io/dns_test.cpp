// Names to addresses. The system's resolver is replaced for names that end in ".test".
#include <weft/dns.hpp>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "io/socket_support.hpp"

using weft_test::failure_of;
using weft_test::outcome;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

struct slow_server {
  std::mutex lock;
  std::condition_variable changed;
  bool answers = true;
  int asked = 0;

  void stop() {
    std::lock_guard<std::mutex> hold(lock);
    answers = false;
    asked = 0;
  }
  void go_on() {
    std::lock_guard<std::mutex> hold(lock);
    answers = true;
    changed.notify_all();
  }
  int questions() {
    std::lock_guard<std::mutex> hold(lock);
    return asked;
  }
} slow;

}  // namespace

// libuv calls this one: a program's own symbols come before those of libc.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** out) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host == nullptr || std::strstr(host, ".test") == nullptr)
    return real(host, service, hints, out);
  if (std::strcmp(host, "unknown.test") == 0) return EAI_NONAME;
  if (std::strcmp(host, "silent.test") == 0) return EAI_AGAIN;
  if (std::strcmp(host, "broken.test") == 0) return EAI_FAIL;
  if (std::strcmp(host, "slow.test") == 0) {
    std::unique_lock<std::mutex> hold(slow.lock);
    ++slow.asked;
    slow.changed.wait(hold, [] { return slow.answers; });
  }
  return real("127.0.0.1", service, hints, out);
}

namespace {

using Dns = weft_test::fiber_fixture;
FIBER_SUITE(Dns);

TEST_P(Dns, DigitsAreTheirOwnAddress) {
  inside([] {
    EXPECT_EQ(weft::resolve("127.0.0.1"),
              std::vector<weft::address>{weft::address("127.0.0.1", 0)});
    EXPECT_EQ(weft::resolve("::1", 80), std::vector<weft::address>{weft::address("::1", 80)});
  });
}

TEST_P(Dns, LocalhostIsHere) {
  inside([] {
    bool found = false;
    for (const weft::address& each : weft::resolve("localhost", 80)) {
      EXPECT_EQ(each.port(), 80);
      found = found || each.ip() == "127.0.0.1" || each.ip() == "::1";
    }
    EXPECT_TRUE(found);
  });
}

TEST_P(Dns, ErrorsNameTheHostAndTheReason) {
  inside([] {
    EXPECT_EQ(outcome([] { weft::resolve("unknown.test"); }),
              "cannot resolve \"unknown.test\": host not found");
    EXPECT_EQ(outcome([] { weft::resolve(""); }), "cannot resolve \"\": Invalid argument");
    EXPECT_EQ(outcome([] { weft::resolve(std::string("local\0host", 10)); }),
              "cannot resolve \"local\\0host\": Invalid argument");
    EXPECT_EQ(failure_of([] { weft::resolve(std::string(100'000, 'x')); }),
              std::errc::invalid_argument);
    const auto code_of = [](const char* host) -> std::error_code {
      try {
        weft::resolve(host);
      } catch (const weft::io_error& error) {
        return error.code();
      }
      return {};
    };
    EXPECT_EQ(code_of("unknown.test"), weft::dns_errc::host_not_found);
    EXPECT_EQ(code_of("silent.test"), weft::dns_errc::try_again);
    EXPECT_EQ(code_of("broken.test"), weft::dns_errc::failed);
    EXPECT_NE(outcome([] { weft::connect_tcp("unknown.test", 80); }).find("unknown.test"),
              std::string::npos);
  });
}

TEST_P(Dns, ManyFibersAskAtOnce) {
  inside([] {
    weft::group all;
    std::atomic<int> answers{0};
    for (int i = 0; i < 200; ++i) {
      all.go([&] { answers += weft::resolve("some.test").size() == 1 ? 1 : 0; });
    }
    all.wait();
    EXPECT_EQ(answers, 200);
  });
}

TEST_P(Dns, CancellingDoesNotWaitForTheServer) {
  slow.stop();
  inside([] {
    std::vector<weft::fiber<std::string>> waiters;
    for (int i = 0; i < 6; ++i)  // more than libuv asks at a time
      waiters.push_back(weft::go([] { return outcome([] { weft::resolve("slow.test"); }); }));
    while (slow.questions() == 0) weft::yield();
    for (auto& each : waiters) each.cancel();
    for (auto& each : waiters) {
      EXPECT_EQ(outcome(each), "cancelled");
    }
    EXPECT_THROW(weft::with_timeout(1ms, [] { weft::connect_tcp("slow.test", 80); }),
                 weft::timed_out);
    slow.go_on();  // or the runtime would wait for it
  });
}

TEST_P(Dns, AnAnswerThatRacesWithCancellationIsHarmless) {
  inside([] {
    for (int round = 0; round < 2000 / weft_test::slowness; ++round) {
      auto asking = weft::go([] { return outcome([] { weft::resolve("some.test"); }); });
      for (int i = 0; i < round % 5; ++i) weft::yield();
      asking.cancel();
      const std::string end = outcome(asking);
      EXPECT_TRUE(end == "done" || end == "cancelled") << end;
    }
  });
}

TEST(DnsOutsideAFiber, IsALogicError) {
  EXPECT_THROW(weft::resolve("127.0.0.1"), std::logic_error);
}

}  // namespace
