// Connecting to the first of several addresses that answers.
#include "io/connect.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <random>

#include "io/address_access.hpp"
#include "io/socket_calls.hpp"
#include "io/socket_support.hpp"

using weft::address;
using weft::detail::connect_first;
using weft::detail::interleave;
using weft_test::failure_of;
using weft_test::outcome;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using Connect = weft_test::fiber_fixture;
FIBER_SUITE(Connect);

// ---- the order

std::vector<address> addresses(std::initializer_list<const char*> ips) {
  std::vector<address> made;
  for (const char* each : ips) made.emplace_back(each, static_cast<std::uint16_t>(80));
  return made;
}

TEST(ConnectOrder, FamiliesTakeTurnsAndTheFirstBegins) {
  EXPECT_EQ(interleave(addresses({"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"})),
            addresses({"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"}));
  EXPECT_EQ(interleave(addresses({"10.0.0.1", "10.0.0.2", "::1"})),
            addresses({"10.0.0.1", "::1", "10.0.0.2"}));
  EXPECT_EQ(interleave(addresses({"10.0.0.1", "::1", "::2", "::3"})),
            addresses({"10.0.0.1", "::1", "::2", "::3"}));
}

TEST(ConnectOrder, WithinAFamilyItStays) {
  EXPECT_EQ(interleave(addresses({"10.0.0.3", "10.0.0.1", "10.0.0.2"})),
            addresses({"10.0.0.3", "10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(interleave(addresses({"::1"})), addresses({"::1"}));
  EXPECT_TRUE(interleave({}).empty());
}

// ---- who answers, and who does not

// Neither accepts nor refuses: its backlog is full.
class silent_listener {
 public:
  explicit silent_listener(const char* ip) : listener_(weft::listen_tcp(ip, 0, {0, false, false})) {
    while (!full()) {
      try {
        weft::with_timeout(
            20ms, [&] { waiting_.push_back(weft::connect_tcp(listener_.local_address())); });
      } catch (const weft::timed_out&) {
      }
    }
  }
  address where() const { return listener_.local_address(); }

 private:
  bool full() const {
    tcp_info info{};  // of a listener: how many wait, and how many may
    socklen_t size = sizeof info;
    getsockopt(listener_.fd(), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_unacked > info.tcpi_sacked;
  }

  weft::tcp_listener listener_;
  std::list<weft::tcp_stream> waiting_;
};

// Nobody listens there, and nobody will while it lives: the port is bound.
class refusing_port {
 public:
  explicit refusing_port(const char* ip) : where_(bind_to(ip)) {}
  ~refusing_port() { ::close(fd_); }
  address where() const { return where_; }

 private:
  address bind_to(const char* ip) {
    using access = weft::detail::address_access;
    weft::detail::raw_address raw = access::raw(address(ip, 0));
    fd_ = ::socket(raw.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd_, raw.get(), raw.size), 0);
    EXPECT_EQ(weft::detail::calls::local_name(fd_, raw), 0);
    return access::from(raw.get());
  }
  int fd_ = -1;
  address where_;
};

bool has_ipv6() {
  return outcome([] { weft::listen_tcp("::1", 0); }) == "done";
}

TEST_P(Connect, ASilentAddressDoesNotKeepTheNextOneWaiting) {
  inside([] {
    const silent_listener silent("127.0.0.1");
    auto good = weft::listen_tcp("127.0.0.2", 0);
    auto client = weft::connect_tcp({silent.where(), good.local_address()});
    EXPECT_EQ(client.remote_address(), good.local_address());
    auto server = good.accept();
    client.write("hello");
    client.close();
    EXPECT_EQ(weft::read_all(server), "hello");
  });
}

TEST_P(Connect, AFailureStartsTheNextAttemptAtOnce) {
  inside([] {
    const refusing_port first("127.0.0.1");
    const refusing_port second("127.0.0.2");
    auto good = weft::listen_tcp("127.0.0.3", 0);
    weft::detail::connect_result got =
        connect_first({first.where(), second.where(), good.local_address()}, 1h);
    ASSERT_TRUE(got.made);
    EXPECT_EQ(got.made->remote, good.local_address());
  });
}

TEST_P(Connect, NobodyIsAskedBeforeItIsHisTurn) {
  inside([] {
    auto good = weft::listen_tcp("127.0.0.1", 0);
    auto later = weft::listen_tcp("127.0.0.2", 0);
    auto got = connect_first({good.local_address(), later.local_address()}, 1h);
    ASSERT_TRUE(got.made);
    EXPECT_EQ(got.made->remote, good.local_address());
    EXPECT_THROW(weft::with_timeout(5ms, [&] { later.accept(); }), weft::timed_out);
  });
}

TEST_P(Connect, Ipv6ThatIsRefusedGivesWayToIpv4) {
  inside([] {
    if (!has_ipv6()) return;
    const refusing_port v6("::1");
    auto v4 = weft::listen_tcp("127.0.0.1", 0);
    auto client = weft::connect_tcp({v6.where(), v4.local_address()});
    EXPECT_EQ(client.remote_address(), v4.local_address());
  });
}

TEST_P(Connect, WhenAllRefuseTheLastIsNamed) {
  inside([] {
    const refusing_port first("127.0.0.1");
    const refusing_port second("127.0.0.2");
    EXPECT_EQ(outcome([&] {
                weft::connect_tcp({first.where(), second.where()});
              }),
              "cannot connect to " + second.where().to_string() + ": Connection refused");
  });
}

TEST_P(Connect, AnAnswerTellsMoreThanTheWantOfARoute) {
  inside([] {
    const refusing_port refused("127.0.0.1");
    const address nowhere("fe80::1", 80);  // a link-local address without a link
    const std::string text = outcome([&] { weft::connect_tcp({refused.where(), nowhere}); });
    EXPECT_TRUE(text ==
                    "cannot connect to " + refused.where().to_string() + ": Connection refused" ||
                text.find("fe80::1") != text.npos)
        << text;
    const address broadcast("255.255.255.255", 80);  // unreachable by TCP
    EXPECT_EQ(outcome([&] {
                weft::connect_tcp({refused.where(), broadcast});
              }),
              "cannot connect to " + refused.where().to_string() + ": Connection refused");
    EXPECT_EQ(failure_of([&] { weft::connect_tcp(broadcast); }), std::errc::network_unreachable);
  });
}

TEST_P(Connect, NoAddressIsAnInvalidArgument) {
  inside([] {
    EXPECT_EQ(failure_of([] { weft::connect_tcp(std::vector<address>()); }),
              std::errc::invalid_argument);
    EXPECT_EQ(failure_of([] { weft::connect_tcp(address()); }), std::errc::invalid_argument);
    EXPECT_EQ(failure_of([] {
                weft::connect_tcp({address(), address()});
              }),
              std::errc::invalid_argument);
  });
}

// ---- stopping

TEST_P(Connect, CancellationAndDeadlinesStopAllAttempts) {
  inside([] {
    const silent_listener first("127.0.0.1");
    const silent_listener second("127.0.0.2");
    const std::vector<address> both{first.where(), second.where()};
    const std::size_t before = weft_test::open_descriptors();
    auto connecting = weft::go([&] { return outcome([&] { connect_first(both, 0s); }); });
    until_parked(3);  // it, and both attempts
    EXPECT_EQ(weft_test::open_descriptors(), before + 2);
    connecting.cancel();
    EXPECT_EQ(outcome(connecting), "cancelled");
    EXPECT_EQ(weft_test::open_descriptors(), before);
    EXPECT_THROW(weft::with_timeout(5ms, [&] { weft::connect_tcp(both); }), weft::timed_out);
    EXPECT_EQ(weft_test::open_descriptors(), before);
  });
}

TEST_P(Connect, TheLosersAreClosed) {
  inside([] {
    const silent_listener silent("127.0.0.1");
    auto good = weft::listen_tcp("127.0.0.2", 0);
    const std::size_t before = weft_test::open_descriptors();
    auto got = connect_first({silent.where(), silent.where(), good.local_address()}, 0s);
    ASSERT_TRUE(got.made);
    EXPECT_EQ(got.made->remote, good.local_address());
    EXPECT_EQ(weft_test::open_descriptors(), before + 1);
  });
}

// Winners, losers and a request to stop, all at once: one end, and no descriptor too many.
TEST_P(Connect, RacingAttemptsEndInOneConnectionOrNone) {
  inside([] {
    auto one = weft::listen_tcp("127.0.0.1", 0);
    auto two = weft::listen_tcp("127.0.0.2", 0);
    const refusing_port none("127.0.0.3");
    const std::vector<address> all{none.where(), one.local_address(), two.local_address()};
    const auto drain = [](weft::tcp_listener& from) {
      return weft::go([&from] {
        return failure_of([&] {
          for (;;) from.accept();
        });
      });
    };
    auto first = drain(one);
    auto second = drain(two);
    const std::size_t before = weft_test::open_descriptors();
    std::minstd_rand random(1);
    for (int round = 0; round < 2'000 / weft_test::slowness; ++round) {
      auto connecting =
          weft::go([&] { return outcome([&] { EXPECT_TRUE(connect_first(all, 0s).made); }); });
      for (auto i = random() % 12; i > 0; --i) weft::yield();
      connecting.cancel();
      const std::string end = outcome(connecting);
      ASSERT_TRUE(end == "done" || end == "cancelled") << end;
    }
    one.close();
    two.close();
    first.join();
    second.join();
    EXPECT_EQ(weft_test::open_descriptors() + 2, before);
  });
}

// Fibers that start then are cancelled, but the caller is not to be stopped.
TEST_P(Connect, ShieldedCallersConnectAlsoWhileTheRuntimeStops) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    const std::vector<address> two(2, listener.local_address());
    weft::options how;
    how.workers = GetParam();
    weft::runtime stopping(how);
    std::string end;
    weft::event running;
    auto last = stopping.go([&] {
      try {
        running.set();
        weft::sleep(1h);
      } catch (const weft::cancelled&) {
        const weft::shield until_done;
        end = outcome([&] { weft::connect_tcp(two); });
        throw;
      }
    });
    running.wait();
    weft::blocking([&] { stopping.shutdown(); });
    EXPECT_EQ(end, "done");
  });
}

TEST(ConnectOutsideAFiber, IsALogicError) {
  EXPECT_THROW(weft::connect_tcp(addresses({"127.0.0.1"})), std::logic_error);
}

}  // namespace
