// What every stream promises, whatever stands behind it.
#include <poll.h>
#include <stdlib.h>
#include <termios.h>

#include <string>

#include "io/socket_support.hpp"

namespace {

using namespace weft_test;

using StreamContract = fiber_fixture;
FIBER_SUITE(StreamContract);

template <class Reader, class Writer>
struct ends {
  Reader reader;
  Writer writer;
};

auto tcp_ends() {
  connection_pair made = tcp_pair();
  return ends<weft::tcp_stream, weft::tcp_stream>{std::move(made.server), std::move(made.client)};
}

auto unix_ends() {
  auto [one, other] = weft::make_unix_pair();
  return ends<weft::unix_stream, weft::unix_stream>{std::move(one), std::move(other)};
}

auto pipe_ends() {
  auto [reader, writer] = weft::make_pipe();
  return ends<weft::pipe_reader, weft::pipe_writer>{std::move(reader), std::move(writer)};
}

auto fd_ends(descriptors of) {
  const int reader = of.release(0);
  const int writer = of.release(1);
  return ends<weft::fd_stream, weft::fd_stream>{weft::fd_stream(reader), weft::fd_stream(writer)};
}

// Runs the body with the two ends of each kind of stream.
template <class Body>
void with_each_kind(Body body) {
  const auto with = [&body](const char* kind, auto both) {
    const bool failed_before = testing::Test::HasFailure();
    body(both.reader, both.writer);
    // No SCOPED_TRACE: it belongs to a thread, and the fiber may have left that.
    if (testing::Test::HasFailure() && !failed_before) ADD_FAILURE() << "with " << kind;
  };
  with("tcp", tcp_ends());
  with("unix", unix_ends());
  with("pipe", pipe_ends());
  with("descriptors of sockets", fd_ends(descriptors::socket_pair()));
  with("descriptors of a pipe", fd_ends(descriptors::pipe()));
}

// As much as makes every kind of stream wait for its reader.
constexpr std::size_t plenty = 16 * 1024 * 1024;

TEST_P(StreamContract, BytesArriveWholeAndInOrder) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      constexpr std::size_t all = 1'000'000;
      auto sender = weft::go([&writer] {
        for (std::size_t at = 0, n = 1; at < all; at += n, n = 1 + n * 7 % 40'000) {
          n = std::min(n, all - at);
          writer.write(pattern(at, n));
        }
        writer.close();
      });
      std::size_t at = 0;
      char bytes[3001];
      while (const std::size_t got = reader.read(bytes)) {
        ASSERT_TRUE(is_pattern(bytes, at, got));
        at += got;
      }
      EXPECT_EQ(at, all);
      sender.join();
    });
  });
}

TEST_P(StreamContract, PiecesArriveAsOne) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      const std::string large = pattern(0, 300'000);
      auto sender = weft::go([&] {
        writer.writev({"", "head", large, std::string_view(), "tail"});
        writer.close();
      });
      EXPECT_EQ(weft::read_all(reader), "head" + large + "tail");
      sender.join();
    });
  });
}

TEST_P(StreamContract, NothingIsReadIntoAnEmptyBuffer) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      EXPECT_EQ(reader.read(nullptr, 0), 0u);
      writer.write(nullptr, 0);
      writer.writev(nullptr, 0);
      writer.write("x");
      EXPECT_EQ(weft::read_exactly(reader, 1), "x");
    });
  });
}

TEST_P(StreamContract, SecondReaderIsRefused) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      auto first = weft::go([&reader] { return weft::read_exactly(reader, 2); });
      until_parked(1);
      char byte = 0;
      EXPECT_EQ(failure_of([&] { reader.read(&byte, 1); }), std::errc::device_or_resource_busy);
      writer.write("ok");
      EXPECT_EQ(first.join(), "ok");
    });
  });
}

TEST_P(StreamContract, SecondWriterIsRefused) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      const std::string many(plenty, 'x');
      auto first = weft::go([&] { writer.write(many); });
      until_parked(1);
      EXPECT_EQ(failure_of([&] { writer.write("y"); }), std::errc::device_or_resource_busy);
      auto rest = weft::go([&reader] { return weft::read_exactly(reader, plenty); });
      first.join();
      EXPECT_EQ(rest.join(), many);
    });
  });
}

TEST_P(StreamContract, CloseWakesTheReader) {
  inside([] {
    with_each_kind([](auto& reader, auto&) {
      auto waiting = weft::go([&reader] {
        char byte = 0;
        return failure_of([&] { reader.read(&byte, 1); });
      });
      until_parked(1);
      reader.close();
      EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
      EXPECT_FALSE(reader);
    });
  });
}

TEST_P(StreamContract, CloseWakesTheWriter) {
  inside([] {
    with_each_kind([](auto&, auto& writer) {
      auto waiting = weft::go([&writer] {
        const std::string many(plenty, 'x');
        return failure_of([&] { writer.write(many); });
      });
      until_parked(1);
      writer.close();
      EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
    });
  });
}

TEST_P(StreamContract, DeadlineEndsAReadAndNoByteIsLost) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      char byte = 0;
      EXPECT_THROW(weft::with_timeout(1ms, [&] { reader.read(&byte, 1); }), weft::timed_out);
      writer.write("later");
      EXPECT_EQ(weft::read_exactly(reader, 5), "later");
    });
  });
}

TEST_P(StreamContract, DeadlineEndsAWrite) {
  inside([] {
    with_each_kind([](auto&, auto& writer) {
      const std::string many(plenty, 'x');
      EXPECT_THROW(weft::with_timeout(1ms, [&] { writer.write(many); }), weft::timed_out);
    });
  });
}

// Each byte is either what the cancelled read returned, or still there.
TEST_P(StreamContract, CancelledReadsLoseNothing) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      constexpr int rounds = 500;
      std::string got;
      auto sender = weft::go([&writer] {
        for (int i = 0; i < rounds; ++i) {
          writer.write(pattern(static_cast<std::size_t>(i), 1));
          weft::yield();
        }
        writer.close();
      });
      bool ended = false;
      while (!ended) {
        auto one = weft::go([&] {
          char bytes[16];
          const std::size_t n = reader.read(bytes);
          got.append(bytes, n);
          ended = n == 0;
        });
        weft::yield();
        one.cancel();
        one.wait();
      }
      sender.join();
      EXPECT_EQ(got, pattern(0, rounds));
    });
  });
}

TEST_P(StreamContract, WritingToNobodyIsAnError) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      reader.close();
      std::error_condition why;
      while (!why) why = failure_of([&] { writer.write("x"); });  // tcp learns it from the first
      EXPECT_TRUE(why == std::errc::broken_pipe || why == std::errc::connection_reset)
          << why.message();
    });
  });
}

TEST_P(StreamContract, ClosedAndMovedFromAndEmptyOnesSayBadDescriptor) {
  inside([] {
    with_each_kind([](auto& reader, auto& writer) {
      const auto is_bad = [](auto& from, auto& to) {
        char byte = 0;
        EXPECT_EQ(failure_of([&] { from.read(&byte, 1); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(failure_of([&] { from.read(&byte, 0); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(failure_of([&] { to.write("x"); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(failure_of([&] { to.writev({}); }), std::errc::bad_file_descriptor);
        EXPECT_FALSE(from);
        EXPECT_EQ(to.fd(), -1);
        from.close();
        to.close();
      };
      auto kept_reader = std::move(reader);
      auto kept_writer = std::move(writer);
      is_bad(reader, writer);
      kept_writer.write("x");
      EXPECT_EQ(weft::read_exactly(kept_reader, 1), "x");
      kept_reader.close();
      kept_writer.close();
      is_bad(kept_reader, kept_writer);
      std::decay_t<decltype(reader)> no_reader;
      std::decay_t<decltype(writer)> no_writer;
      is_bad(no_reader, no_writer);
    });
  });
}

TEST_P(StreamContract, HalfClosedSocketsStillRead) {
  inside([] {
    const auto talk = [](weft::stream& client, weft::stream& server) {
      auto answer = weft::go([&server] {
        const std::string question = weft::read_all(server);
        server.write(question + pattern(0, 1'000'000));
        server.shutdown_write();
      });
      client.write("question");
      client.shutdown_write();
      EXPECT_EQ(weft::read_all(client), "question" + pattern(0, 1'000'000));
      answer.join();
    };
    auto tcp = tcp_ends();
    talk(tcp.writer, tcp.reader);
    auto local = unix_ends();
    talk(local.writer, local.reader);
    auto raw = fd_ends(descriptors::socket_pair());
    talk(raw.writer, raw.reader);
  });
}

TEST_P(StreamContract, CopyMovesAllOfOneStreamToAnother) {
  inside([] {
    auto [from_reader, from_writer] = weft::make_pipe();
    auto to = tcp_ends();
    auto source =
        weft::go([w = std::move(from_writer)]() mutable { w.write(pattern(0, 500'000)); });
    auto sink = weft::go([&to] { return weft::read_all(to.reader); });
    EXPECT_EQ(weft::copy(from_reader, to.writer), 500'000u);
    to.writer.close();
    EXPECT_EQ(sink.join(), pattern(0, 500'000));
    source.join();
  });
}

// ---- descriptors of the program

using FdStream = fiber_fixture;
FIBER_SUITE(FdStream);

TEST_P(FdStream, TakesTheDescriptorOverAndLeavesItsFlags) {
  inside([] {
    descriptors both = descriptors::pipe();
    const int mine = ::dup(both[0]);
    {
      weft::fd_stream reader(mine);
      EXPECT_EQ(reader.fd(), mine);
      EXPECT_FALSE(reader.is_terminal());
      EXPECT_THROW(weft::with_timeout(1ms, [&] { return weft::read_all(reader); }),
                   weft::timed_out);
      EXPECT_EQ(fcntl(both[0], F_GETFL) & O_NONBLOCK, 0);
    }
    EXPECT_EQ(fcntl(mine, F_GETFD), -1);
  });
}

TEST_P(FdStream, OfWhatIsNotOpenIsRefused) {
  inside([] {
    EXPECT_EQ(failure_of([] { weft::fd_stream none(-1); }), std::errc::bad_file_descriptor);
    EXPECT_EQ(failure_of([] { weft::fd_stream none(99'999); }), std::errc::bad_file_descriptor);
  });
}

TEST_P(FdStream, ShutdownOfWhatIsNoSocketIsAnError) {
  inside([] {
    descriptors both = descriptors::pipe();
    weft::fd_stream writer(::dup(both[1]));
    EXPECT_EQ(failure_of([&] { writer.shutdown_write(); }), std::errc::not_a_socket);
  });
}

TEST_P(FdStream, FilesAreReadAtTheirOwnPosition) {
  inside([] {
    weft::file temporary = weft::make_temp_file();
    const std::string path = temporary.path();
    temporary.write("one\ntwo\n");
    weft::fd_stream reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::string> lines;
    for (const std::string& line : weft::buffered_reader(reader).lines()) lines.push_back(line);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
    weft::remove(path);
  });
}

// Both ends of a terminal that passes bytes as they are.
ends<weft::fd_stream, weft::fd_stream> terminal() {
  const int outer = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  grantpt(outer);
  unlockpt(outer);
  const int inner = ::open(ptsname(outer), O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios how{};
  tcgetattr(inner, &how);
  cfmakeraw(&how);
  tcsetattr(inner, TCSANOW, &how);
  return {weft::fd_stream(inner), weft::fd_stream(outer)};
}

TEST_P(FdStream, TerminalsAreStreams) {
  inside([] {
    auto both = terminal();
    EXPECT_TRUE(both.reader.is_terminal());
    auto sender = weft::go([&] { both.writer.write(pattern(0, 100'000)); });
    EXPECT_EQ(weft::read_exactly(both.reader, 100'000), pattern(0, 100'000));
    sender.join();
    auto waiting = weft::go([&] {
      char byte = 0;
      return failure_of([&] { both.reader.read(&byte, 1); });
    });
    until_parked(1);
    both.reader.close();
    EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
  });
}

TEST_P(FdStream, StandardStreamsAreCopies) {
  inside([] {
    weft::fd_stream out = weft::standard_output();
    EXPECT_GT(out.fd(), 2);
    out.close();
    EXPECT_GE(fcntl(1, F_GETFD), 0);
  });
}

TEST(FdStreamOutside, IsAnErrorThatSaysSo) {
  EXPECT_THROW(weft::make_pipe(), std::logic_error);
  EXPECT_THROW(weft::make_unix_pair(), std::logic_error);
}

}  // namespace
