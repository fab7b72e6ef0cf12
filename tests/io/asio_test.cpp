// Streams of weft as Asio and Beast's HTTP see them.
#include <weft/asio.hpp>

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http.hpp>
#include <vector>

#include "io/socket_support.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using namespace std::chrono_literals;
using weft_test::tcp_pair;
using borrowed = weft::asio_stream<weft::tcp_stream&>;
using owned = weft::asio_stream<weft::tcp_stream>;

using Asio = weft_test::fiber_fixture;
FIBER_SUITE(Asio);

// A stream of no more than the contract asks for.
class text_stream {
 public:
  explicit text_stream(std::string incoming) : incoming_(std::move(incoming)) {}

  std::size_t read(void* to, std::size_t n) {
    if (error != std::errc()) throw weft::io_error(std::make_error_code(error), "cannot read");
    n = incoming_.copy(static_cast<char*>(to), n);
    incoming_.erase(0, n);
    return n;
  }
  void write(const void* from, std::size_t n) {
    if (error != std::errc()) throw weft::io_error(std::make_error_code(error), "cannot write");
    written.emplace_back(static_cast<const char*>(from), n);
  }
  void close() { closed = true; }

  std::vector<std::string> written;
  std::errc error = std::errc();
  bool closed = false;

 private:
  std::string incoming_;
};

template <class F>
error_code thrown_by(F&& f) {
  try {
    f();
    return {};
  } catch (const boost::system::system_error& failed) {
    return failed.code();
  }
}

static_assert(beast::is_sync_stream<owned>::value);
static_assert(beast::is_sync_stream<borrowed>::value);
static_assert(beast::is_sync_stream<weft::asio_stream<text_stream>>::value);
static_assert(std::is_same_v<beast::lowest_layer_type<borrowed>, borrowed>);

TEST_P(Asio, ReadSomeFillsTheFirstBufferThatIsNotEmpty) {
  inside([] {
    auto [client, server] = tcp_pair();
    client.write("abcdef");
    borrowed in(server);
    char none[1], some[2], more[10];
    const std::array<asio::mutable_buffer, 3> room = {asio::buffer(none, 0), asio::buffer(some),
                                                      asio::buffer(more)};
    EXPECT_EQ(in.read_some(room), 2u);
    EXPECT_EQ(std::string(some, 2), "ab");
    EXPECT_EQ(in.read_some(asio::buffer(more)), 4u);
    EXPECT_EQ(std::string(more, 4), "cdef");
  });
}

TEST_P(Asio, NoRoomAndNothingToWriteAreNoEnd) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed stream(server);
    error_code error = asio::error::eof;
    EXPECT_EQ(stream.read_some(asio::mutable_buffer(), error), 0u);
    EXPECT_FALSE(error);
    EXPECT_EQ(stream.read_some(std::vector<asio::mutable_buffer>()), 0u);
    error = asio::error::eof;
    EXPECT_EQ(stream.write_some(asio::const_buffer(), error), 0u);
    EXPECT_FALSE(error);
    EXPECT_EQ(stream.write_some(std::vector<asio::const_buffer>(3)), 0u);
  });
}

TEST_P(Asio, WriteSomeTakesSixteenPieces) {
  inside([] {
    auto [client, server] = tcp_pair();
    const std::string text = weft_test::pattern(0, 100);
    std::vector<asio::const_buffer> pieces;
    for (const char& each : text) {
      pieces.emplace_back();  // empty ones do not count
      pieces.emplace_back(&each, 1);
    }
    borrowed out(client);
    EXPECT_EQ(out.write_some(pieces), 16u);
    EXPECT_EQ(asio::write(out, pieces), 100u);
    client.shutdown_write();
    EXPECT_EQ(weft::read_all(server), text.substr(0, 16) + text);
  });
}

TEST_P(Asio, StreamWithoutWritevWritesOnePieceAtATime) {
  inside([] {
    weft::asio_stream stream(text_stream("in"));
    const std::array<asio::const_buffer, 3> pieces = {asio::buffer("", 0), asio::buffer("ab", 2),
                                                      asio::buffer("c", 1)};
    EXPECT_EQ(stream.write_some(pieces), 2u);
    EXPECT_EQ(asio::write(stream, pieces), 3u);
    EXPECT_EQ(stream.stream().written, (std::vector<std::string>{"ab", "ab", "c"}));
    char two[2];
    EXPECT_EQ(asio::read(stream, asio::buffer(two)), 2u);
    stream.close();
    EXPECT_TRUE(stream.stream().closed);
  });
}

TEST_P(Asio, EndIsEof) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed in(server), out(client);
    client.write("ab");
    out.shutdown_write();
    char bytes[10];
    error_code error;
    EXPECT_EQ(asio::read(in, asio::buffer(bytes), error), 2u);
    EXPECT_EQ(error, asio::error::eof);
    EXPECT_EQ(thrown_by([&] { in.read_some(asio::buffer(bytes)); }), asio::error::eof);
  });
}

TEST_P(Asio, ErrorsOfTheSystemAreAsiosOwn) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed in(server);
    const linger at_once{1, 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.close();
    char bytes[10];
    error_code error;
    EXPECT_EQ(in.read_some(asio::buffer(bytes), error), 0u);
    EXPECT_EQ(error, asio::error::connection_reset);
    EXPECT_EQ(error, boost::system::errc::connection_reset);
    EXPECT_EQ(in.write_some(asio::buffer(bytes), error), 0u);
    EXPECT_EQ(error, asio::error::broken_pipe);

    in.close(error);
    EXPECT_FALSE(error);
    EXPECT_EQ(in.read_some(asio::buffer(bytes), error), 0u);
    EXPECT_EQ(error, asio::error::bad_descriptor);
    in.shutdown_write(error);
    EXPECT_EQ(error, asio::error::bad_descriptor);
    EXPECT_EQ(thrown_by([&] { in.write_some(asio::buffer(bytes)); }), asio::error::bad_descriptor);

    owned never;
    EXPECT_EQ(thrown_by([&] { never.read_some(asio::buffer(bytes)); }),
              asio::error::bad_descriptor);
    never.close();
  });
}

TEST_P(Asio, TextOfAnErrorNamesThePeer) {
  inside([] {
    auto [client, server] = tcp_pair();
    const std::string peer = server.remote_address().to_string();
    server.close();
    char bytes[10];
    try {
      borrowed(server).read_some(asio::buffer(bytes));
      ADD_FAILURE() << "read from a closed stream";
    } catch (const boost::system::system_error& failed) {
      EXPECT_NE(std::string(failed.what()).find(peer), std::string::npos) << failed.what();
    }
  });
}

TEST_P(Asio, WhoseStreamIsClosedMeanwhileIsAborted) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed in(server);
    weft::group tasks;
    auto reader = tasks.go([&in] {
      char bytes[10];
      error_code error;
      in.read_some(asio::buffer(bytes), error);
      return error;
    });
    weft_test::until_parked(1);
    server.close();
    EXPECT_EQ(reader.join(), asio::error::operation_aborted);
    tasks.wait();
  });
}

TEST_P(Asio, OtherErrorsStayExceptions) {
  inside([] {
    weft::asio_stream stream(text_stream(""));
    char bytes[1];
    error_code error;
    stream.stream().error = std::errc::not_enough_memory;
    stream.read_some(asio::buffer(bytes), error);
    EXPECT_EQ(error, boost::system::errc::not_enough_memory);

    struct odd_stream {
      std::size_t read(void*, std::size_t) {
        throw weft::io_error(std::make_error_code(std::future_errc::no_state), "odd");
      }
      void write(const void*, std::size_t) { throw std::bad_alloc(); }
      void close() {}
    };
    weft::asio_stream odd(odd_stream{});
    EXPECT_THROW(odd.read_some(asio::buffer(bytes), error), weft::io_error);
    EXPECT_THROW(odd.read_some(asio::buffer(bytes)), weft::io_error);
    EXPECT_THROW(odd.write_some(asio::buffer(bytes), error), std::bad_alloc);
  });
}

TEST_P(Asio, DeadlinesPassThroughAndLoseNoBytes) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed in(server);
    std::string text;
    error_code error;
    EXPECT_THROW(weft::with_timeout(
                     5ms, [&] { asio::read_until(in, asio::dynamic_buffer(text), '\n', error); }),
                 weft::timed_out);
    EXPECT_THROW(
        weft::with_timeout(5ms, [&] { asio::read_until(in, asio::dynamic_buffer(text), '\n'); }),
        weft::timed_out);
    client.write("line\n");
    text.clear();
    EXPECT_EQ(asio::read_until(in, asio::dynamic_buffer(text), '\n'), 5u);
    EXPECT_EQ(text, "line\n");
  });
}

TEST_P(Asio, CancellationPassesThrough) {
  inside([] {
    auto [client, server] = tcp_pair();
    borrowed stream(client);
    const std::string much(32 << 20, 'x');
    weft::group tasks;
    auto reader = tasks.go([&] {
      return weft_test::outcome([&] {
        beast::flat_buffer buffer;
        http::response<http::string_body> answer;
        error_code error;
        http::read(stream, buffer, answer, error);
      });
    });
    auto writer = tasks.go([&] {
      return weft_test::outcome([&] {
        error_code error;
        asio::write(stream, asio::buffer(much), error);
      });
    });
    weft_test::until_parked(2);
    tasks.cancel();
    tasks.wait();
    EXPECT_EQ(weft_test::outcome(reader), "cancelled");
    EXPECT_EQ(weft_test::outcome(writer), "cancelled");
  });
}

TEST_P(Asio, BeastSpeaksHttpBothWays) {
  inside([] {
    auto [client, server] = tcp_pair();
    weft::group tasks;
    tasks.go([stream = owned(std::move(server))]() mutable {
      beast::flat_buffer buffer;
      for (;;) {
        http::request<http::string_body> request;
        error_code error;
        http::read(stream, buffer, request, error);
        if (error == http::error::end_of_stream) break;
        ASSERT_FALSE(error) << error.message();
        http::response<http::string_body> answer(http::status::ok, 11);
        answer.body() = std::string(request.target()) + ":" + request.body();
        answer.chunked(request.method() == http::verb::put);
        answer.prepare_payload();
        http::write(stream, answer);
      }
    });
    owned stream(std::move(client));
    beast::flat_buffer buffer;
    for (const std::size_t size : {0u, 10u, 100'000u}) {
      for (const http::verb how : {http::verb::post, http::verb::put}) {
        http::request<http::string_body> request(how, "/x", 11);
        request.body() = weft_test::pattern(0, size);
        request.prepare_payload();
        http::write(stream, request);
        http::response_parser<http::string_body> answer;
        http::read(stream, buffer, answer);
        EXPECT_EQ(answer.get().body(), "/x:" + request.body());
      }
    }
    stream.close();
    tasks.wait();
  });
}

TEST_P(Asio, MessageCutShortIsNoEndOfStream) {
  inside([] {
    auto [client, server] = tcp_pair();
    client.write("GET / HTTP/1.1\r\nHo");
    client.close();
    borrowed in(server);
    beast::flat_buffer buffer;
    http::request<http::empty_body> request;
    error_code error;
    http::read(in, buffer, request, error);
    EXPECT_EQ(error, http::error::partial_message);
  });
}

}  // namespace
