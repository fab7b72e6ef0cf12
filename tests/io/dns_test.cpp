// Names to addresses. The system's resolver is replaced for names that end in ".test".
#include <weft/dns.hpp>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "io/file_support.hpp"
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
  int all_asked = 0;  // also for other names

  void stop() {
    std::lock_guard<std::mutex> hold(lock);
    answers = false;
    asked = all_asked = 0;
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
  int all_questions() {
    std::lock_guard<std::mutex> hold(lock);
    return all_asked;
  }
} slow;

}  // namespace

// The library calls this one: a program's own symbols come before those of libc.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** out) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  {
    std::lock_guard<std::mutex> hold(slow.lock);
    ++slow.all_asked;
  }
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
    for (int i = 0; i < 12; ++i)  // more than are asked at a time
      waiters.push_back(weft::go([] { return outcome([] { weft::resolve("slow.test"); }); }));
    while (slow.questions() == 0) weft::yield();
    for (auto& each : waiters) each.cancel();
    for (auto& each : waiters) {
      EXPECT_EQ(outcome(each), "cancelled");
    }
    EXPECT_THROW(weft::with_timeout(1ms, [] { weft::connect_tcp("slow.test", 80); }),
                 weft::timed_out);
  });
  slow.go_on();
}

// ---- look-ups that hang

// So many fibers ask the slow server while it lives; it goes on in the end.
class hanging {
 public:
  explicit hanging(int questions) {
    slow.stop();
    for (int i = 0; i < questions; ++i)
      fibers_.go([this] { answers += weft::resolve("slow.test").size() == 1 ? 1 : 0; });
    until_parked(static_cast<std::size_t>(questions));
  }
  void wait() {
    slow.go_on();
    fibers_.wait();
  }
  ~hanging() { slow.go_on(); }

  std::atomic<int> answers{0};

 private:
  weft::group fibers_;
};

using DnsAndFiles = weft_test::file_fixture;
FIBER_SUITE(DnsAndFiles);

TEST_P(DnsAndFiles, LookUpsThatHangKeepNeitherFilesNorBlockingWaiting) {
  inside([] {
    hanging names(64);
    while (slow.questions() < 8) weft::yield();
    // As many at once as libuv has threads, none of which may be taken.
    const weft_test::busy_pool all_of_them;
    EXPECT_EQ(weft::blocking([] { return 42; }), 42);
    weft::group many;
    weft::latch together(64);
    for (int i = 0; i < 64; ++i)
      many.go([&] { weft::blocking([&] { together.arrive_and_wait(); }); });
    many.wait();
  });
}

TEST_P(DnsAndFiles, LookUpsThatHangKeepNoUncachedReadWaiting) {
  inside([this] {
    const std::string path = in("file");
    weft::write_file(path, "content");
    hanging names(64);
    while (slow.questions() < 8) weft::yield();
    weft_test::drop_from_cache(path);
    EXPECT_EQ(weft::read_file(path), "content");
    EXPECT_EQ(weft::detail::in_file_pool("test", [] { return 1; }), 1);
    EXPECT_EQ(slow.questions(), 8) << "the default limit";
    names.wait();
    EXPECT_EQ(names.answers, 64);
  });
}

TEST_P(Dns, TheLimitIsAnOption) {
  weft::options options = how();
  options.name_threads = 3;
  weft::run(options, [] {
    hanging names(10);
    while (slow.questions() < 3) weft::yield();
    for (int i = 0; i < 100; ++i) weft::yield();
    EXPECT_EQ(slow.questions(), 3);
    names.wait();
    EXPECT_EQ(names.answers, 10);
    EXPECT_EQ(slow.questions(), 10);
  });
}

TEST_P(Dns, AQuestionThatHasNotBegunIsTakenBack) {
  weft::options options = how();
  options.name_threads = 1;
  weft::run(options, [] {
    hanging names(1);
    while (slow.questions() < 1) weft::yield();
    auto second = weft::go([] { return outcome([] { weft::resolve("slow.test"); }); });
    until_parked(2);
    second.cancel();
    EXPECT_EQ(outcome(second), "cancelled");
    names.wait();
    EXPECT_EQ(weft::resolve("some.test").size(), 1u);
    EXPECT_EQ(slow.questions(), 1);
  });
}

TEST_P(Dns, DigitsAskNobody) {
  inside([] {
    hanging names(64);
    while (slow.questions() < 8) weft::yield();
    const int before = slow.all_questions();
    EXPECT_EQ(weft::resolve("127.0.0.1", 1).front(), weft::address("127.0.0.1", 1));
    EXPECT_EQ(weft::resolve("::1", 2).front(), weft::address("::1", 2));
    EXPECT_EQ(weft::resolve("[::1]", 3).front(), weft::address("::1", 3));
    EXPECT_EQ(weft::resolve("fe80::1%lo", 4).front(), weft::address("fe80::1%lo", 4));
    for (const char* wrong : {"fe80::1%nosuch0", "::zz", "[127.0.0.1]:80", "127.0.0.1:80"})
      EXPECT_EQ(failure_of([&] { weft::resolve(wrong); }),
                make_error_code(weft::dns_errc::host_not_found).default_error_condition())
          << wrong;
    EXPECT_EQ(slow.all_questions(), before);
  });
}

TEST_P(Dns, TheEndOfARuntimeDoesNotWaitForTheServer) {
  slow.stop();
  inside([] {
    for (int i = 0; i < 20; ++i) weft::go([] { weft::resolve("slow.test"); }).detach();
    while (slow.questions() < 8) weft::yield();
  });
  {
    weft::runtime other(how());
    other.go([] { weft::resolve("slow.test"); }).detach();
    while (slow.questions() < 9) std::this_thread::yield();
  }
  EXPECT_EQ(slow.questions(), 9);
  slow.go_on();  // the threads that were left behind end by themselves: see the fixture
}

// ---- races

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
