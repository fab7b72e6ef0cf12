// The n-th allocation fails, in whatever waits and in all of I/O: the operation throws
// std::bad_alloc, or serve() drops the one connection; nothing hangs, ends the process or stays
// behind, and no byte or value is lost between two operations that succeed.
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "io/socket_support.hpp"
#include "support/failing_new.hpp"
#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::with_each_failing;

class NoMemoryIo : public weft_test::fiber_fixture {
 protected:
  // Once all workers have started: each takes its signal stack from the heap, at a time of its own.
  template <class F>
  void inside(F body) {
    fiber_fixture::inside([&] {
      std::atomic<unsigned> running{0};
      weft::group all;
      for (unsigned i = 0; i < GetParam(); ++i) {
        all.go([&] {
          ++running;
          while (running < GetParam()) std::this_thread::yield();  // keeps its worker
        });
      }
      all.wait();
      body();
    });
  }
};
FIBER_SUITE(NoMemoryIo);

const std::string long_text(100, 'x');  // on the heap

TEST_P(NoMemoryIo, AValueThatIsNotSentStaysWithTheSender) {
  inside([] {
    with_each_failing([] {
      weft::channel<std::string> values(4);
      std::string value = long_text;
      try {
        for (int i = 0; i < 4; ++i) {
          value = long_text;
          values.send(std::move(value));
        }
      } catch (const std::bad_alloc&) {
        for (std::size_t left = values.size(); left > 0; --left)
          EXPECT_EQ(values.recv()->size(), 100u);
        throw;
      }
      EXPECT_EQ(values.size(), 4u);
    });
    with_each_failing([] {
      weft::channel<int> values;
      weft::group both;
      both.go([&] { values.send(1); });
      EXPECT_EQ(values.recv(), 1);
      both.wait();
    });
    with_each_failing([] {
      weft::channel<std::string> one(1), other(1);
      other.send(long_text);
      std::optional<std::string> got;
      const auto keep = [&](std::optional<std::string> value) { got = std::move(value); };
      weft::select(weft::on_recv(one, keep), weft::on_recv(other, keep), weft::after(1h, [] {}));
      EXPECT_EQ(got, long_text);
    });
  });
}

TEST_P(NoMemoryIo, TimersNeedNone) {
  inside([] {
    const weft::pin_guard warm_here;
    weft::sleep(1us);
    weft_test::until_failure = 1;
    weft::sleep(1us);
    weft::event never_set;
    EXPECT_FALSE(never_set.wait_for(1us));
    weft::with_timeout(1h, [] { weft::sleep(1us); });
    EXPECT_EQ(weft_test::until_failure.exchange(0), 1);
  });
}

TEST_P(NoMemoryIo, AStartThatFailsLeavesNothing) {
  with_each_failing([&] {
    fiber_fixture::inside([] {
      weft::group all;
      for (int i = 0; i < 20; ++i) all.go([i] { weft::sleep(i * 10us); });
      all.wait();
      EXPECT_EQ(weft::blocking([] { return 3; }), 3);
    });
  });
}

TEST_P(NoMemoryIo, ConnectionsAreMadeAndUsedOrRefused) {
  inside([] {
    with_each_failing([] {
      auto listener = weft::listen_tcp("127.0.0.1", 0);
      auto client = weft::connect_tcp("127.0.0.1", listener.port());
      auto server = listener.accept();
      EXPECT_EQ(client.local_address(), server.remote_address());
      client.write("abc");
      client.writev({"de", "f"});
      client.shutdown_write();
      EXPECT_EQ(weft::read_all(server), "abcdef");
      server.write(long_text);
      EXPECT_EQ(weft::read_exactly(client, 100), long_text);
    });
  });
}

TEST_P(NoMemoryIo, AConnectionThatCouldNotBeTakenWaits) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto client = weft::connect_tcp(listener.local_address());
    weft_test::until_failure = 1;
    // The descriptor was accepted already, so this connection is lost, but not the listener.
    EXPECT_THROW(listener.accept(), std::bad_alloc);
    char byte = 0;
    EXPECT_EQ(client.read(&byte, 1), 0u);
    auto other = weft::connect_tcp(listener.local_address());
    EXPECT_TRUE(listener.accept());
  });
}

TEST_P(NoMemoryIo, ReadersAndWritersThatWait) {
  inside([] {
    with_each_failing([] {
      auto listener = weft::listen_tcp("127.0.0.1", 0);
      auto client = weft::connect_tcp("127.0.0.1", listener.port());
      auto server = listener.accept();
      constexpr std::size_t much = 3'000'000;
      weft::group both;
      both.go([&, text = long_text] {
        std::vector<char> room(100'000);
        for (std::size_t left = much; left > 0;) {
          const std::size_t got = server.read(room);
          if (got == 0) throw weft::eof_error("too early");
          left -= got;
        }
      });
      const std::string bytes(much, 'x');
      client.write(bytes);
      both.wait();
    });
  });
}

TEST_P(NoMemoryIo, DescriptorsOfTheProgram) {
  inside([] {
    with_each_failing([] {
      auto ends = weft_test::descriptors::pipe();
      auto pair = weft_test::descriptors::socket_pair();
      weft::group both;
      both.go([&, text = long_text] {
        char byte = 0;
        weft::read(ends[0], &byte, 1);
        weft::write(pair[0], &byte, 1);
      });
      weft::write(ends[1], "x");
      weft::wait_readable(pair[1]);
      both.wait();
    });
  });
}

TEST_P(NoMemoryIo, NamesAreResolvedOrNot) {
  inside([] { with_each_failing([] { EXPECT_FALSE(weft::resolve("localhost", 80).empty()); }); });
}

TEST_P(NoMemoryIo, FilesAreWrittenAndReadWholeOrNotAtAll) {
  const std::string folder = testing::TempDir() + "no_memory_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  inside([&] {
    const std::string path = folder + "/a_file_whose_name_is_not_short";
    weft::write_file(path, "old");
    with_each_failing([&] {
      try {
        weft::write_file(path, long_text);
        EXPECT_EQ(weft::read_file(path), long_text);
        auto opened = weft::open_file(path, weft::open_mode::read);
        EXPECT_EQ(weft::read_all(opened), long_text);
        EXPECT_EQ(weft::list_directory(folder).size(), 1u);
      } catch (const std::bad_alloc&) {
        EXPECT_LE(weft::list_directory(folder).size(), 1u) << "a temporary is left";
        throw;
      }
    });
  });
  std::filesystem::remove_all(folder);
}

// No fiber that starts while the body runs gets a stack, unless another worker has one left.
template <class Body>
void without_stacks(Body body) {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  rlimit now = before;
  now.rlim_cur = pages * static_cast<std::size_t>(getpagesize()) + (std::size_t{1} << 20);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &now), 0);
  weft::event over;
  std::vector<weft::fiber<void>> those_that_are_left;
  const auto started = [&] {
    std::size_t n = 0;
    for (const auto& each : those_that_are_left) n += each.done() ? 1 : 0;
    return n == 0;
  };
  while (started()) {
    for (int i = 0; i < 10; ++i) those_that_are_left.push_back(weft::go([&] { over.wait(); }));
    weft::sleep(1ms);
  }
  body();
  setrlimit(RLIMIT_AS, &before);
  over.set();
  for (auto& each : those_that_are_left) {
    try {
      each.join();
    } catch (const std::system_error&) {
    }
  }
}

TEST_P(NoMemoryIo, WithoutAStackAConnectionIsDroppedAndAddressesAreTriedInTurn) {
  if (weft_test::slowness > 1) GTEST_SKIP() << "a sanitizer has no use for a limit of addresses";
  inside([this] {
    const bool surely = GetParam() == 1;
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto server = weft::go(
        [&] { weft::serve(listener, [](weft::tcp_stream client) { client.write("hello"); }); });
    const auto greeting = [&] {
      auto client = weft::connect_tcp(listener.local_address());
      return weft::read_all(client);
    };
    EXPECT_EQ(greeting(), "hello");
    without_stacks([&] {
      const std::string got = greeting();
      EXPECT_TRUE(got.empty() || (got == "hello" && !surely));
      const std::vector<weft::address> two{listener.local_address(), listener.local_address()};
      EXPECT_NO_THROW(weft::connect_tcp(two)) << "without fibers of their own, in turn";
    });
    EXPECT_EQ(greeting(), "hello");
    listener.close();
    server.join();
  });
}

TEST_P(NoMemoryIo, AServerLosesAConnectionAndGoesOn) {
  inside([] {
    with_each_failing([] {
      auto listener = weft::listen_tcp("127.0.0.1", 0);
      weft::serve_options quietly;
      quietly.on_error = [](const weft::address&, std::exception_ptr) {};
      std::optional<weft::fiber<void>> server;
      struct closer {
        weft::tcp_listener& listener;
        std::optional<weft::fiber<void>>& server;
        ~closer() {
          listener.close();
          if (server) server->wait();
        }
      } at_the_end{listener, server};
      server = weft::go([&] {
        weft::serve(
            listener,
            [](weft::tcp_stream client) {
              const std::string got = weft::read_all(client);
              client.write(got);
            },
            quietly);
      });
      for (int i = 0; i < 2; ++i) {
        auto client = weft::connect_tcp(listener.local_address());
        try {
          client.write(long_text);
          client.shutdown_write();
          const std::string got = weft::read_all(client);
          EXPECT_TRUE(got == long_text || got.empty());
        } catch (const weft::io_error&) {  // it was lost
        }
      }
    });
  });
}

}  // namespace
