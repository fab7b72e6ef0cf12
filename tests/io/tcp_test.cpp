// TCP streams and listeners.
#include <weft/tcp.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <list>
#include <random>
#include <thread>

#include "io/socket_support.hpp"

using weft_test::failure_of;
using weft_test::is_pattern;
using weft_test::outcome;
using weft_test::pattern;
using weft_test::tcp_pair;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using Tcp = weft_test::fiber_fixture;
FIBER_SUITE(Tcp);

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, name, &value, &size);
  return value;
}

void reset(weft::tcp_stream& stream) {
  const linger at_once{1, 0};
  setsockopt(stream.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  stream.close();
}

// ---- moving bytes

void send_pattern(weft::tcp_stream& to, std::size_t all, unsigned seed) {
  std::minstd_rand random(seed);
  for (std::size_t done = 0; done < all;) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 100'000, all - done);
    to.write(pattern(done, n));
    done += n;
  }
}

void expect_pattern(weft::tcp_stream& from, std::size_t all, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<char> room(100'000);
  for (std::size_t done = 0; done < all;) {
    const std::size_t got = from.read(room.data(), 1 + random() % room.size());
    ASSERT_GT(got, 0u) << "ended after " << done;
    ASSERT_TRUE(is_pattern(room.data(), done, got)) << "between " << done << " and " << done + got;
    done += got;
  }
}

TEST_P(Tcp, TenMegabytesComeBackAsTheyWereSent) {
  inside([] {
    constexpr std::size_t size = 10'000'000 / (weft_test::slowness > 1 ? 4 : 1);
    auto [client, server] = tcp_pair();
    auto echo = weft::go([&server = server] {
      std::array<char, 10'000> room;
      while (const std::size_t n = server.read(room)) server.write(room.data(), n);
      server.shutdown_write();
    });
    auto sender = weft::go([&client = client] {
      send_pattern(client, size, 1);
      client.shutdown_write();
    });
    expect_pattern(client, size, 2);
    char more = 0;
    EXPECT_EQ(client.read(&more, 1), 0u);
    sender.join();
    echo.join();
  });
}

TEST_P(Tcp, HalfAConnectionStaysOpen) {
  inside([] {
    constexpr std::size_t size = 1'000'000;
    auto [client, server] = tcp_pair();
    client.write("that is all");
    client.shutdown_write();
    EXPECT_EQ(weft::read_all(server), "that is all");
    auto answer = weft::go([&server = server] {
      send_pattern(server, size, 3);
      server.shutdown_write();
    });
    const std::string got = weft::read_all(client);
    EXPECT_TRUE(got == pattern(0, size));
    answer.join();
    char byte = 0;
    EXPECT_EQ(client.read(&byte, 1), 0u);
    EXPECT_EQ(server.read(&byte, 1), 0u);
    EXPECT_EQ(failure_of([&client = client] { client.write("x"); }), std::errc::broken_pipe);
  });
}

TEST_P(Tcp, EveryContiguousContainerWillDo) {
  inside([] {
    auto [client, server] = tcp_pair();
    const char text[] = "literal,";
    client.write(text);
    client.write(std::string("string,"));
    client.write(std::string_view("view,"));
    client.write(std::vector<unsigned char>{'v', 'e', 'c', ','});
    client.write(std::array<std::byte, 2>{std::byte{'b'}, std::byte{','}});
    client.writev({"several", std::string(1, ' '), std::string_view("pieces"), ""});
    client.writev({});
    client.write("");
    client.close();
    std::string got(8, '\0');
    weft::read_exactly(server, got);
    EXPECT_EQ(got, "literal,");
    std::vector<char> room(7);
    EXPECT_EQ(server.read(room), 7u);
    std::array<unsigned char, 5> view;
    EXPECT_EQ(server.read(view), 5u);
    EXPECT_EQ(weft::read_all(server), "vec,b,several pieces");
    EXPECT_EQ(server.read(nullptr, 0), 0u);
  });
}

TEST_P(Tcp, ManyBuffersAreWrittenInOrder) {
  inside([] {
    auto [client, server] = tcp_pair();
    std::list<std::string> texts;
    std::vector<weft::const_buffer> buffers;
    std::string all;
    for (std::size_t i = 0; i < 1000; ++i) {
      texts.push_back(pattern(all.size(), i % 7 == 0 ? 0 : i * 13 % 5000));
      buffers.emplace_back(texts.back());
      all += texts.back();
    }
    auto writer = weft::go([&, &client = client] {
      client.writev(buffers.data(), buffers.size());
      client.close();
    });
    EXPECT_TRUE(weft::read_all(server) == all);
    writer.join();
  });
}

TEST_P(Tcp, ABusyConnectionDoesNotStarveOthers) {
  inside([] {
    auto [client, server] = tcp_pair();
    std::atomic<bool> over{false};
    auto writer = weft::go([&, &client = client] {
      const std::string much(100'000, 'x');
      return failure_of([&] {
        while (!over) client.write(much);
      });
    });
    auto reader = weft::go([&server = server] {
      char byte = 0;  // always ready
      while (server.read(&byte, 1) > 0) {
      }
    });
    for (int i = 0; i < 5; ++i) weft::sleep(1ms);
    over = true;
    reader.cancel();
    reader.wait();
    server.close();
    writer.wait();
  });
}

// A read stops short of urgent data although more has come.
TEST_P(Tcp, UrgentDataHidesNothingThatComesAfterIt) {
  inside([] {
    auto [client, server] = tcp_pair();
    const auto read_one = [&server = server] {
      char byte = 0;
      server.read(&byte, 1);
    };
    auto first = weft::go(read_one);
    until_parked(1);
    client.write("1");
    first.join();
    // Bytes come while nobody waits: from now on the watch may be told of edges only.
    client.write("2");
    weft::sleep(5ms);
    read_one();
    auto reader = weft::go([&server = server] {
      std::string got;
      for (char bytes[100]; got.size() < 6;) got.append(bytes, server.read(bytes));
      return got;
    });
    until_parked(1);
    ASSERT_EQ(::send(client.fd(), "abc", 3, 0), 3);
    ASSERT_EQ(::send(client.fd(), "!", 1, MSG_OOB), 1);
    ASSERT_EQ(::send(client.fd(), "def", 3, 0), 3);
    EXPECT_TRUE(reader.wait_for(10s));
    reader.cancel();
    EXPECT_EQ(outcome([&] { EXPECT_EQ(reader.join(), "abcdef"); }), "done");
  });
}

// ---- ends that are not kind

TEST_P(Tcp, AResetWhileWritingIsAnError) {
  inside([] {
    auto [client, server] = tcp_pair();
    const auto before = signal(SIGPIPE, SIG_DFL);
    auto writer = weft::go([&client = client] {
      const std::string much(10'000'000, 'x');
      return failure_of([&] {
        for (;;) client.write(much);
      });
    });
    until_parked(1);
    reset(server);
    const auto why = writer.join();
    EXPECT_TRUE(why == std::errc::connection_reset || why == std::errc::broken_pipe)
        << why.message();
    EXPECT_EQ(failure_of([&client = client] { client.write("x"); }), std::errc::broken_pipe);
    signal(SIGPIPE, before);
  });
}

TEST_P(Tcp, AResetWhileReadingIsAnErrorThatNamesThePeer) {
  inside([] {
    auto [client, server] = tcp_pair();
    auto reader = weft::go([&client = client] {
      return outcome([&] {
        char byte = 0;
        client.read(&byte, 1);
      });
    });
    until_parked(1);
    reset(server);
    EXPECT_EQ(reader.join(), "cannot read from " + client.remote_address().to_string() +
                                 ": Connection reset by peer");
  });
}

TEST_P(Tcp, ErrorsTellHowMuchWasWritten) {
  inside([] {
    auto [client, server] = tcp_pair();
    server.close();
    std::string text;
    while (text.empty()) {
      const std::string end = outcome([&client = client] { client.write("1234"); });
      if (end != "done") text = end;
    }
    EXPECT_NE(text.find("cannot write to 127.0.0.1:"), std::string::npos) << text;
    EXPECT_NE(text.find(" after 0 of 4 bytes: "), std::string::npos) << text;
  });
}

TEST_P(Tcp, ClosingWakesReaderAndWriter) {
  inside([] {
    auto [client, server] = tcp_pair();
    auto reader = weft::go([&client = client] {
      return failure_of([&] {
        char byte = 0;
        client.read(&byte, 1);
      });
    });
    auto writer = weft::go([&client = client] {
      return failure_of([&] {
        for (;;) client.write(std::string(1'000'000, 'x'));
      });
    });
    until_parked(2);
    client.close();
    client.close();
    const auto read_end = reader.join();
    const auto write_end = writer.join();
    // The first if they were inside, the second if they had not come to it.
    EXPECT_TRUE(read_end == std::errc::operation_canceled ||
                read_end == std::errc::bad_file_descriptor);
    EXPECT_TRUE(write_end == std::errc::operation_canceled ||
                write_end == std::errc::bad_file_descriptor);
  });
}

// The number of the closed descriptor goes to the next one that is opened, and the reader of the
// old must not get what comes for the new.
TEST_P(Tcp, AReaderNeverGetsTheBytesOfALaterDescriptor) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    for (int round = 0; round < 300; ++round) {
      auto client = weft::connect_tcp(listener.local_address());
      auto server = listener.accept();
      auto reader = weft::go([&client] {
        return failure_of([&] {
          char byte = 0;
          client.read(&byte, 1);
        });
      });
      if (round % 2 == 0) until_parked(1);
      const int number = client.fd();
      auto closer = weft::go([&client] { client.close(); });
      closer.join();
      EXPECT_EQ(client.fd(), -1);
      auto later = weft_test::descriptors::socket_pair();
      EXPECT_EQ(later[0], number) << "close() returned before the descriptor was free";
      weft::write(later[1], "mine");
      char bytes[10];
      EXPECT_EQ(weft::read(later[0], bytes), 4u);
      EXPECT_NE(reader.join(), std::error_condition());
    }
  });
}

TEST_P(Tcp, ASecondReaderIsRefused) {
  inside([] {
    auto [client, server] = tcp_pair();
    char byte = 0;
    auto reader = weft::go([&client = client] {
      char first = 0;
      return client.read(&first, 1);
    });
    auto writer = weft::go([&client = client] {
      try {
        for (;;) client.write(std::string(1'000'000, 'x'));
      } catch (const weft::cancelled&) {
      }
    });
    until_parked(2);
    std::error_condition refused;
    while (!refused) {  // until the first two are inside
      refused = failure_of(
          [&, &client = client] { weft::with_timeout(1ms, [&] { client.read(&byte, 1); }); });
    }
    EXPECT_EQ(refused, std::errc::device_or_resource_busy);
    server.write("r");
    EXPECT_EQ(reader.join(), 1u);
    writer.cancel();
    writer.wait();
    server.write("s");
    EXPECT_EQ(client.read(&byte, 1), 1u);
    EXPECT_EQ(byte, 's');
  });
}

TEST_P(Tcp, WhatIsNotOpenSaysSo) {
  inside([] {
    auto [client, server] = tcp_pair();
    char byte = 0;
    const auto ends_badly = [&](weft::tcp_stream& stream) {
      const auto bad = std::make_error_condition(std::errc::bad_file_descriptor);
      EXPECT_EQ(failure_of([&] { stream.read(&byte, 1); }), bad);
      EXPECT_EQ(failure_of([&] { stream.write("x"); }), bad);
      EXPECT_EQ(failure_of([&] { stream.shutdown_write(); }), bad);
      EXPECT_EQ(failure_of([&] { stream.set_nodelay(); }), bad);
      EXPECT_EQ(failure_of([&] { stream.local_address(); }), bad);
      EXPECT_EQ(stream.fd(), -1);
      EXPECT_FALSE(stream);
      stream.close();
    };
    const weft::address peer = client.remote_address();
    client.close();
    ends_badly(client);
    EXPECT_EQ(client.remote_address(), peer);
    weft::tcp_stream moved = std::move(server);
    EXPECT_TRUE(moved);
    ends_badly(server);  // NOLINT: moved from
    weft::tcp_stream empty;
    ends_badly(empty);
    weft::tcp_listener nothing;
    EXPECT_EQ(failure_of([&] { nothing.accept(); }), std::errc::bad_file_descriptor);
    EXPECT_EQ(failure_of([&] { nothing.port(); }), std::errc::bad_file_descriptor);
  });
}

TEST(TcpOutsideAFiber, IsALogicError) {
  EXPECT_THROW(weft::connect_tcp("127.0.0.1", 1), std::logic_error);
  EXPECT_THROW(weft::listen_tcp("127.0.0.1", 0), std::logic_error);
  auto [client, server] = weft::run([] { return tcp_pair(); });
  char byte = 0;
  EXPECT_THROW(client.read(&byte, 1), std::logic_error);
  EXPECT_THROW(client.write("x"), std::logic_error);
}

TEST_P(Tcp, AStreamOutlivesItsRuntime) {
  auto pair = inside([] {
    auto made = tcp_pair();
    auto reader = weft::go([&] {  // so that the loop knows it
      char byte = 0;
      made.client.read(&byte, 1);
    });
    made.server.write("x");
    reader.join();
    return made;
  });
  inside([&] {
    auto reader = weft::go([&] { return weft::read_exactly(pair.client, 5); });
    until_parked(1);
    pair.server.write("hello");
    EXPECT_EQ(reader.join(), "hello");
  });
  std::thread([moved = std::move(pair)]() mutable { moved.client.close(); }).join();
}

// ---- cancellation

TEST_P(Tcp, CancellingWakesEveryCallThatWaits) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto [client, server] = tcp_pair();
    std::vector<weft::fiber<std::string>> waiters;
    waiters.push_back(weft::go([&] { return outcome([&] { listener.accept(); }); }));
    waiters.push_back(
        weft::go([&server = server] { return outcome([&] { weft::read_exactly(server, 1); }); }));
    waiters.push_back(weft::go([&server = server] {
      return outcome([&] {
        for (;;) server.write(std::string(100'000, 'x'));
      });
    }));
    until_parked(3);
    for (auto& each : waiters) each.cancel();
    for (auto& each : waiters) {
      EXPECT_EQ(outcome(each), "cancelled");
    }
  });
}

// A listener whose backlog is full leaves those who come later without an answer.
class full_listener {
 public:
  full_listener() : listener_(weft::listen_tcp("127.0.0.1", 0, {0, false, false})) {
    for (bool full = false; !full;) {
      try {
        weft::with_timeout(
            20ms, [&] { waiting_.push_back(weft::connect_tcp("127.0.0.1", listener_.port())); });
      } catch (const weft::timed_out&) {
        full = true;
      }
    }
  }
  std::uint16_t port() const { return listener_.port(); }

 private:
  weft::tcp_listener listener_;
  std::list<weft::tcp_stream> waiting_;
};

TEST_P(Tcp, ConnectIsCancelledAndTimesOut) {
  inside([] {
    full_listener full;
    EXPECT_THROW(weft::with_timeout(5ms, [&] { weft::connect_tcp("127.0.0.1", full.port()); }),
                 weft::timed_out);
    auto connecting =
        weft::go([&] { return outcome([&] { weft::connect_tcp("localhost", full.port()); }); });
    until_parked(1);
    connecting.cancel();
    EXPECT_EQ(outcome(connecting), "cancelled");
  });
}

TEST_P(Tcp, ATimeoutLosesNoBytes) {
  inside([] {
    auto [client, server] = tcp_pair();
    for (int round = 0; round < 20; ++round) {
      EXPECT_THROW(weft::with_timeout(1ms, [&client = client] { weft::read_exactly(client, 1); }),
                   weft::timed_out);
      server.write("hello");
      EXPECT_EQ(weft::read_exactly(client, 5), "hello");
    }
  });
}

// One side sends numbered bytes; on the other, readers that are cancelled at random moments.
void race_cancellation_with_bytes(int rounds, unsigned seed) {
  auto [client, server] = tcp_pair();
  std::minstd_rand random(seed);
  std::size_t sent = 0;
  std::size_t got = 0;
  for (int round = 0; round < rounds; ++round) {
    auto reader = weft::go([&client = client, at = got] {
      char room[100];
      std::size_t bytes = 0;
      try {
        bytes = client.read(room);
      } catch (const weft::cancelled&) {
      }
      EXPECT_TRUE(is_pattern(room, at, bytes)) << "at " << at;
      return bytes;
    });
    if (random() % 4 != 0) weft::yield();
    const bool write_first = random() % 2 == 0;
    if (!write_first) reader.cancel();
    const std::size_t n = 1 + static_cast<std::size_t>(round) % 3;
    server.write(pattern(sent, n));
    sent += n;
    if (write_first) reader.cancel();
    try {
      got += reader.join();
    } catch (const weft::fiber_cancelled&) {
    }
  }
  server.close();
  const std::string rest = weft::read_all(client);
  EXPECT_TRUE(is_pattern(rest.data(), got, rest.size()));
  EXPECT_EQ(got + rest.size(), sent);
}

TEST_P(Tcp, NoByteIsLostOrDoubledWhenCancellationMeetsCompletion) {
  inside([] {
    weft::group racers;
    for (unsigned seed = 1; seed <= 8; ++seed)
      racers.go([seed] { race_cancellation_with_bytes(2'500 / weft_test::slowness, seed); });
    racers.wait();
  });
}

// ---- connecting and listening

TEST_P(Tcp, BothEndsKnowWhereTheyAre) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto client = weft::connect_tcp(listener.local_address());
    auto server = listener.accept();
    EXPECT_EQ(listener.local_address(), weft::address("127.0.0.1", listener.port()));
    EXPECT_EQ(client.remote_address(), listener.local_address());
    EXPECT_EQ(server.local_address(), listener.local_address());
    EXPECT_EQ(server.remote_address(), client.local_address());
  });
}

TEST_P(Tcp, SmallWritesLeaveAtOnceUnlessToldOtherwise) {
  inside([] {
    auto [client, server] = tcp_pair();
    EXPECT_NE(option(client.fd(), IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_NE(option(server.fd(), IPPROTO_TCP, TCP_NODELAY), 0);
    client.set_nodelay(false);
    EXPECT_EQ(option(client.fd(), IPPROTO_TCP, TCP_NODELAY), 0);
    client.set_keepalive(true, 30s);
    EXPECT_NE(option(client.fd(), SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_EQ(option(client.fd(), IPPROTO_TCP, TCP_KEEPIDLE), 30);
    client.set_keepalive(false);
    EXPECT_EQ(option(client.fd(), SOL_SOCKET, SO_KEEPALIVE), 0);
  });
}

TEST_P(Tcp, ARefusedConnectionNamesHostAndPort) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    const std::string port = std::to_string(listener.port());
    const std::uint16_t number = listener.port();
    listener.close();
    EXPECT_EQ(outcome([&] { weft::connect_tcp("127.0.0.1", number); }),
              "cannot connect to 127.0.0.1:" + port + ": Connection refused");
    const std::string text = outcome([&] { weft::connect_tcp("localhost", number); });
    EXPECT_EQ(text.find("cannot connect to localhost:" + port), 0u) << text;
    EXPECT_NE(text.find("Connection refused"), std::string::npos) << text;
    EXPECT_EQ(failure_of([&] { weft::connect_tcp("127.0.0.1", number); }),
              std::errc::connection_refused);
  });
}

TEST_P(Tcp, APortCanBeTakenAgainAsSoonAsItsListenerIsClosed) {
  inside([] {
    std::uint16_t port = 0;
    for (int round = 0; round < 50; ++round) {
      auto listener = weft::listen_tcp("127.0.0.1", port);
      port = listener.port();
      auto acceptor = weft::go([&] { listener.accept(); });
      auto client = weft::connect_tcp("127.0.0.1", port);
      acceptor.join();
      if (round % 2 == 0) listener.close();
    }
    auto listener = weft::listen_tcp("127.0.0.1", port);
    const std::string text = outcome([&] { weft::listen_tcp("127.0.0.1", port); });
    EXPECT_EQ(text,
              "cannot listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
  });
}

TEST_P(Tcp, ListenersShareAPortOnlyIfBothWant) {
  inside([] {
    weft::listen_options shared;
    shared.reuse_port = true;
    auto first = weft::listen_tcp("127.0.0.1", 0, shared);
    auto second = weft::listen_tcp("127.0.0.1", first.port(), shared);
    EXPECT_EQ(first.port(), second.port());
  });
}

TEST_P(Tcp, WithoutAHostAllInterfacesAreListenedOn) {
  inside([] {
    auto listener = weft::listen_tcp("", 0);
    auto acceptor = weft::go([&] { listener.accept(); });
    weft::connect_tcp("127.0.0.1", listener.port());
    acceptor.join();
    if (listener.local_address().kind() != weft::address::family::ipv6)
      return;  // a host without it
    auto again = weft::go([&] { listener.accept(); });
    weft::connect_tcp("::1", listener.port());
    again.join();
  });
}

TEST_P(Tcp, ClosingTheListenerWakesWhoAccepts) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto acceptor = weft::go([&] { return failure_of([&] { listener.accept(); }); });
    until_parked(1);
    listener.close();
    const auto why = acceptor.join();
    EXPECT_TRUE(why == std::errc::operation_canceled || why == std::errc::bad_file_descriptor);
  });
}

}  // namespace
