// Servers.
#include <weft/serve.hpp>

#include <sys/resource.h>

#include <atomic>
#include <list>
#include <mutex>

#include "io/socket_support.hpp"

using weft_test::failure_of;
using weft_test::outcome;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using Serve = weft_test::fiber_fixture;
FIBER_SUITE(Serve);

void echo(weft::tcp_stream client) {
  char bytes[1000];
  while (const std::size_t n = client.read(bytes)) client.write(bytes, n);
}

weft::tcp_listener listen_here() { return weft::listen_tcp("127.0.0.1", 0); }

// What comes back for one word.
std::string ask(const weft::tcp_listener& server, const std::string& word) {
  auto client = weft::connect_tcp(server.local_address());
  client.write(word);
  client.shutdown_write();
  return weft::read_all(client);
}

template <class Handler>
weft::fiber<std::string> start(weft::tcp_listener& listener, Handler handler,
                               weft::serve_options how = {}) {
  return weft::go([&listener, handler = std::move(handler), how]() mutable {
    return outcome([&] { weft::serve(listener, handler, how); });
  });
}

TEST_P(Serve, EveryClientGetsItsOwnFiber) {
  inside([] {
    auto listener = listen_here();
    auto server = start(listener, echo);
    auto silent = weft::connect_tcp(listener.local_address());
    EXPECT_EQ(ask(listener, "one"), "one");
    EXPECT_EQ(ask(listener, "two"), "two");
    silent.close();
    listener.close();
    EXPECT_EQ(server.join(), "done");
  });
}

TEST_P(Serve, AStormOfConnectionsIsServed) {
  inside([] {
    constexpr int clients = 500;
    auto listener = listen_here();
    std::atomic<int> served{0};
    auto server = start(listener, [&](weft::tcp_stream client) {
      echo(std::move(client));
      ++served;
    });
    std::atomic<bool> over{false};
    auto other = weft::go([&] {  // has to get its turn all the time
      int turns = 0;
      while (!over) {
        weft::yield();
        ++turns;
      }
      return turns;
    });
    weft::group all;
    std::atomic<int> right{0};
    for (int i = 0; i < clients; ++i) {
      all.go([&, i] { right += ask(listener, std::to_string(i)) == std::to_string(i) ? 1 : 0; });
    }
    all.wait();
    EXPECT_EQ(right, clients);
    over = true;
    EXPECT_GE(other.join(), 3);
    listener.close();
    EXPECT_EQ(server.join(), "done");
    EXPECT_EQ(served, clients);
  });
}

TEST_P(Serve, AnExceptionEndsItsOwnConnectionOnly) {
  inside([] {
    auto listener = listen_here();
    std::mutex lock;
    std::vector<std::string> seen;
    weft::serve_options how;
    how.on_error = [&](const weft::address& client, const std::exception_ptr& error) {
      std::lock_guard<std::mutex> hold(lock);
      EXPECT_EQ(client.ip(), "127.0.0.1");
      seen.push_back(outcome([&] { std::rethrow_exception(error); }));
    };
    auto server = start(
        listener,
        [](weft::tcp_stream client) {
          const std::string word = weft::read_all(client);
          if (word == "bad") throw std::runtime_error("a bad word");
          client.write(word);
        },
        how);
    EXPECT_EQ(ask(listener, "good"), "good");
    EXPECT_EQ(ask(listener, "bad"), "");
    EXPECT_EQ(ask(listener, "good again"), "good again");
    listener.close();
    EXPECT_EQ(server.join(), "done");
    EXPECT_EQ(seen, std::vector<std::string>{"a bad word"});
  });
}

TEST_P(Serve, OnlyUnexpectedErrorsArePrinted) {
  testing::internal::CaptureStderr();
  inside([] {
    auto listener = listen_here();
    auto server = start(listener, [](weft::tcp_stream client) {
      const std::string word = weft::read_all(client);
      if (word == "end") weft::read_exactly(client, 1);
      if (word == "late") weft::with_timeout(0s, [&] { client.read(nullptr, 0); });
      if (word == "odd") throw 42;
      client.close();
      if (word == "closed") client.write("x");
      throw std::runtime_error("surprise");
    });
    for (const char* word : {"end", "late", "closed", "odd", "else"})
      EXPECT_EQ(ask(listener, word), "");
    listener.close();
    server.join();
  });
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_NE(text.find("ended with: surprise\n"), std::string::npos) << text;
  EXPECT_NE(text.find("weft: the handler of 127.0.0.1:"), std::string::npos) << text;
}

TEST_P(Serve, AnOnErrorThatThrowsDoesNoHarm) {
  testing::internal::CaptureStderr();
  inside([] {
    auto listener = listen_here();
    weft::serve_options how;
    how.on_error = [](const weft::address&, const std::exception_ptr&) {
      throw std::runtime_error("worse");
    };
    auto server = start(
        listener, [](weft::tcp_stream) { throw std::runtime_error("bad"); }, how);
    EXPECT_EQ(ask(listener, ""), "");
    listener.close();
    EXPECT_EQ(server.join(), "done");
  });
  EXPECT_NE(testing::internal::GetCapturedStderr().find("worse"), std::string::npos);
}

TEST_P(Serve, NoMoreConnectionsThanAllowed) {
  inside([] {
    auto listener = listen_here();
    std::atomic<int> now{0};
    std::atomic<int> most{0};
    weft::serve_options how;
    how.max_connections = 3;
    auto server = start(
        listener,
        [&](weft::tcp_stream client) {
          const int here = ++now;
          for (int seen = most; seen < here && !most.compare_exchange_weak(seen, here);) {
          }
          echo(std::move(client));
          --now;
        },
        how);
    weft::group all;
    for (int i = 0; i < 60; ++i) all.go([&] { EXPECT_EQ(ask(listener, "word"), "word"); });
    all.wait();
    EXPECT_LE(most, 3);
    listener.close();
    EXPECT_EQ(server.join(), "done");
  });
}

// ---- the end

TEST_P(Serve, ACancelledServerLetsItsHandlersFinish) {
  inside([] {
    auto listener = listen_here();
    std::atomic<int> finished{0};
    weft::serve_options how;
    how.grace = 1h;
    auto server = start(
        listener,
        [&](weft::tcp_stream client) {
          echo(std::move(client));
          ++finished;
        },
        how);
    auto client = weft::connect_tcp(listener.local_address());
    client.write("word");
    EXPECT_EQ(weft::read_exactly(client, 4), "word");
    server.cancel();
    weft::yield();
    client.write("more");
    EXPECT_EQ(weft::read_exactly(client, 4), "more") << "in the grace period";
    EXPECT_FALSE(server.done());
    client.close();
    EXPECT_EQ(server.join(), "cancelled");
    EXPECT_EQ(finished, 1);
    EXPECT_TRUE(listener);
  });
}

TEST_P(Serve, HandlersAreCancelledAfterTheGracePeriod) {
  inside([] {
    auto listener = listen_here();
    std::atomic<int> cancelled{0};
    std::atomic<int> stubborn{0};
    weft::serve_options how;
    how.grace = 5ms;
    auto server = start(
        listener,
        [&](weft::tcp_stream client) {
          try {
            echo(std::move(client));
          } catch (const weft::cancelled&) {
            const weft::shield cleaning_up;
            weft::sleep(1ms);
            ++stubborn;
            ++cancelled;
            throw;
          }
        },
        how);
    std::list<weft::tcp_stream> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(weft::connect_tcp(listener.local_address()));
      clients.back().write("x");
      weft::read_exactly(clients.back(), 1);
    }
    server.cancel();
    EXPECT_EQ(server.join(), "cancelled");
    EXPECT_EQ(cancelled, 100);
    EXPECT_EQ(stubborn, 100) << "serve() ended before its handlers";
    for (auto& each : clients) EXPECT_EQ(weft::read_all(each), "");
  });
}

TEST_P(Serve, WithoutGraceHandlersAreCancelledAtOnce) {
  inside([] {
    auto listener = listen_here();
    weft::serve_options how;
    how.grace = 0s;
    auto server = start(listener, echo, how);
    auto client = weft::connect_tcp(listener.local_address());
    EXPECT_THROW(weft::with_timeout(1ms, [&] { weft::read_all(client); }), weft::timed_out);
    server.cancel();
    EXPECT_EQ(server.join(), "cancelled");
    EXPECT_EQ(weft::read_all(client), "");
  });
}

TEST_P(Serve, ATimeoutAroundItEndsIt) {
  inside([] {
    weft::serve_options how;
    how.grace = 0s;
    EXPECT_THROW(weft::with_timeout(2ms, [&] { weft::serve(listen_here(), echo, how); }),
                 weft::timed_out);
  });
}

TEST_P(Serve, TheEndOfTheRuntimeEndsIt) {
  inside([] {
    auto listener = std::make_shared<weft::tcp_listener>(listen_here());
    weft::go([listener] { weft::serve(*listener, echo); }).detach();
    auto client = weft::connect_tcp(listener->local_address());
    client.write("x");
    weft::read_exactly(client, 1);
  });
}

TEST_P(Serve, AListenerThatIsNotOpenIsAnError) {
  inside([] {
    weft::tcp_listener nothing;
    EXPECT_EQ(failure_of([&] { weft::serve(nothing, echo); }), std::errc::bad_file_descriptor);
    auto listener = listen_here();
    listener.close();
    EXPECT_EQ(outcome([&] { weft::serve(listener, echo); }), "done");
  });
}

// ---- shortage

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

class few_descriptors {
 public:
  explicit few_descriptors(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now = before_;
    now.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~few_descriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_P(Serve, SurvivesAShortageOfDescriptorsWithoutSpinning) {
  inside([] {
    constexpr int clients = 200;
    auto listener = listen_here();
    std::list<weft::tcp_stream> waiting;
    for (int i = 0; i < clients; ++i)  // they stand in the backlog
      waiting.push_back(weft::connect_tcp(listener.local_address()));
    const int highest = waiting.back().fd();
    const few_descriptors limit(static_cast<rlim_t>(highest) + 20);
    std::atomic<int> served{0};
    auto server = start(listener, [&](weft::tcp_stream client) {
      ++served;
      echo(std::move(client));
    });
    while (served < 10) weft::yield();
    EXPECT_EQ(failure_of([&] {
                for (std::list<weft::tcp_stream> more;;)
                  more.push_back(weft::connect_tcp(listener.local_address()));
              }),
              std::errc::too_many_files_open);
    const double before = cpu_seconds();
    weft::sleep(300ms);
    EXPECT_LT(cpu_seconds() - before, 0.06 * weft_test::slowness) << "it spins";
    EXPECT_LT(served, 40);

    const auto begin = std::chrono::steady_clock::now();
    for (auto& each : waiting) {
      each.shutdown_write();
      EXPECT_EQ(weft::read_all(each), "");
      each.close();
    }
    EXPECT_EQ(ask(listener, "here again"), "here again");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
    EXPECT_GE(served, clients);
    listener.close();
    EXPECT_EQ(server.join(), "done");
  });
}

TEST_P(Serve, AcceptReportsAShortageAndTheConnectionWaits) {
  inside([] {
    auto listener = listen_here();
    auto client = weft::connect_tcp(listener.local_address());
    {
      const int next = ::dup(0);
      ::close(next);
      const few_descriptors limit(static_cast<rlim_t>(next));
      EXPECT_EQ(failure_of([&] { listener.accept(); }), std::errc::too_many_files_open);
    }
    EXPECT_TRUE(listener.accept());
  });
}

}  // namespace
