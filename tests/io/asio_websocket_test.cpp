// Beast's WebSockets on weft's streams: both sides, and every way in which they end.
#include <weft/asio.hpp>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket.hpp>
#include <vector>

#include "io/socket_support.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using namespace std::chrono_literals;
using weft_test::tcp_pair;
using owned = weft::asio_stream<weft::tcp_stream>;
static_assert(std::is_same_v<beast::lowest_layer_type<websocket::stream<owned>>, owned>);

// They have timers, for which Asio opens descriptors that stay.
class websocket_fixture : public weft_test::fiber_fixture {
 protected:
  void SetUp() override {
    const websocket::stream<owned> first;
    fiber_fixture::SetUp();
  }
};
using AsioWebSocket = websocket_fixture;
FIBER_SUITE(AsioWebSocket);

void echo(websocket::stream<owned>& stream) {
  stream.accept();
  beast::multi_buffer message;
  error_code error;
  while (stream.read(message, error), !error) {
    stream.text(stream.got_text());
    stream.write(message.data());
    message.clear();
  }
  EXPECT_EQ(error, websocket::error::closed) << error.message();
}

TEST_P(AsioWebSocket, EchoesAndClosesBothWays) {
  inside([] {
    auto [client, server] = tcp_pair();
    weft::group tasks;
    tasks.go([stream = websocket::stream<owned>(std::move(server))]() mutable { echo(stream); });
    websocket::stream<owned> stream(std::move(client));
    stream.handshake("localhost", "/");
    stream.auto_fragment(true);
    for (const std::size_t size : {0u, 1u, 125u, 126u, 65'536u, 300'000u}) {
      const std::string sent = weft_test::pattern(0, size);
      stream.binary(true);
      stream.write(asio::buffer(sent));
      beast::flat_buffer got;
      stream.read(got);
      EXPECT_EQ(beast::buffers_to_string(got.data()), sent);
      EXPECT_FALSE(stream.got_text());
    }
    stream.ping("x");
    stream.close(websocket::close_code::normal);
    EXPECT_FALSE(stream.next_layer().stream());  // the connection is closed, too
    tasks.wait();
  });
}

TEST_P(AsioWebSocket, ServerMayCloseFirst) {
  inside([] {
    auto [client, server] = tcp_pair();
    weft::group tasks;
    tasks.go([stream = websocket::stream<owned>(std::move(server))]() mutable {
      stream.accept();
      stream.close(websocket::close_reason("enough"));
      EXPECT_FALSE(stream.next_layer().stream());
    });
    websocket::stream<owned> stream(std::move(client));
    stream.handshake("localhost", "/");
    beast::flat_buffer got;
    error_code error;
    stream.read(got, error);
    EXPECT_EQ(error, websocket::error::closed);
    EXPECT_EQ(stream.reason().reason, "enough");
    tasks.wait();
  });
}

TEST_P(AsioWebSocket, FailsWhenItsPeerIsGone) {
  inside([] {
    auto [client, server] = tcp_pair();
    weft::group tasks;
    tasks.go([stream = websocket::stream<owned>(std::move(server))]() mutable {
      stream.accept();
      beast::close_socket(beast::get_lowest_layer(stream));
    });
    websocket::stream<owned> stream(std::move(client));
    stream.handshake("localhost", "/");
    beast::flat_buffer got;
    error_code error;
    stream.read(got, error);
    EXPECT_EQ(error, asio::error::eof);
    tasks.wait();
  });
}

TEST_P(AsioWebSocket, ReadCanBeTimedOutAndThenClosed) {
  inside([] {
    auto [client, server] = tcp_pair();
    weft::group tasks;
    tasks.go([stream = websocket::stream<owned>(std::move(server))]() mutable {
      stream.accept();
      beast::flat_buffer got;
      error_code error;
      stream.read(got, error);
      EXPECT_EQ(error, asio::error::eof);
    });
    websocket::stream<owned> stream(std::move(client));
    stream.handshake("localhost", "/");
    beast::flat_buffer got;
    error_code error;
    EXPECT_THROW(weft::with_timeout(5ms, [&] { stream.read(got, error); }), weft::timed_out);
    stream.next_layer().close();
    tasks.wait();
  });
}

TEST_P(AsioWebSocket, ManyAtOnceNeedNoThreadOfAsio) {
  inside([] {
    const std::size_t threads = weft_test::live_threads();
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::group server;
    server.go([&] {
      weft::serve(listener, [](weft::tcp_stream client) {
        websocket::stream<owned> stream(std::move(client));
        echo(stream);
      });
    });
    std::vector<int> numbers(100 / weft_test::slowness * 2);
    weft::for_each(numbers, [&](int&) {
      websocket::stream<owned> stream(weft::connect_tcp("127.0.0.1", listener.port()));
      stream.handshake("localhost", "/");
      stream.binary(true);
      for (std::size_t i = 0; i < 20; ++i) {
        const std::string sent = weft_test::pattern(i, 1 + i * 100);
        stream.write(asio::buffer(sent));
        beast::flat_buffer got;
        stream.read(got);
        EXPECT_EQ(beast::buffers_to_string(got.data()), sent);
      }
      stream.close(websocket::close_code::normal);
    });
    EXPECT_LE(weft_test::live_threads(), threads + 4);  // libuv's own pool
    listener.close();
    server.wait();
  });
}

}  // namespace
