// TLS by OpenSSL and Asio on weft's streams: who is refused, what is delivered, and that fibers on
// several threads do not disturb each other, though OpenSSL keeps its errors for each thread.
#include <weft/asio.hpp>

#include <openssl/err.h>

#include <atomic>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <vector>

#include "io/socket_support.hpp"
#include "io/tls_support.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using namespace std::chrono_literals;
using owned = weft::asio_stream<weft::tcp_stream>;
using tls_stream = ssl::stream<owned>;
using weft_test::identity;
using weft_test::make_identity;

struct identities {
  identity root = make_identity("root", {nullptr, true});
  identity good = make_identity("localhost", {&root});
  identity other = make_identity("elsewhere", {&root});
  identity expired = make_identity("localhost", {&root, false, -weft_test::one_day});
  identity own = make_identity("localhost");

  ssl::context server = weft_test::server_context(good);
  ssl::context client = weft_test::client_context(root);
};

// Made once: keys cost time. What OpenSSL opens once is open before the descriptors are counted.
identities& all() {
  static identities made;
  return made;
}

class tls_fixture : public weft_test::fiber_fixture {
 protected:
  void SetUp() override {
    const tls_stream first(owned(), all().client);
    fiber_fixture::SetUp();
  }
};
using AsioTls = tls_fixture;
FIBER_SUITE(AsioTls);

tls_stream connect(std::uint16_t port, const std::string& host = "localhost") {
  tls_stream made(weft::connect_tcp("127.0.0.1", port), all().client);
  SSL_set_tlsext_host_name(made.native_handle(), host.c_str());
  made.set_verify_callback(ssl::host_name_verification(host));
  return made;
}

struct tls_pair {
  tls_stream client, server;
};

tls_pair make_pair(ssl::context& server = all().server) {
  auto [client, accepted] = weft_test::tcp_pair();
  tls_pair made{tls_stream(std::move(client), all().client),
                tls_stream(std::move(accepted), server)};
  made.client.set_verify_callback(ssl::host_name_verification("localhost"));
  return made;
}

// What both sides say of a handshake.
std::pair<error_code, error_code> handshake(tls_pair& both) {
  std::pair<error_code, error_code> errors;
  weft::gather(
      [&] {
        both.client.handshake(ssl::stream_base::client, errors.first);
        if (errors.first) both.client.next_layer().close();
      },
      [&] { both.server.handshake(ssl::stream_base::server, errors.second); });
  return errors;
}

// Why the client refuses a server that shows this certificate; 0 if it does not.
long reason_against(const identity& shown) {
  ssl::context context = weft_test::server_context(shown);
  tls_pair both = make_pair(context);
  const auto [client, server] = handshake(both);
  if (!client) return 0;
  EXPECT_EQ(client.category(), asio::error::get_ssl_category());
  EXPECT_TRUE(server);
  return SSL_get_verify_result(both.client.native_handle());
}

TEST_P(AsioTls, OnlyTheRightCertificateIsAccepted) {
  inside([] {
    EXPECT_EQ(reason_against(all().good), 0);
    EXPECT_EQ(reason_against(all().own), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    EXPECT_EQ(reason_against(all().expired), X509_V_ERR_CERT_HAS_EXPIRED);
    EXPECT_NE(reason_against(all().other), 0);  // its name is another
  });
}

TEST_P(AsioTls, BytesGoBothWaysUntilEitherSideCloses) {
  inside([] {
    tls_pair both = make_pair();
    const auto errors = handshake(both);
    ASSERT_FALSE(errors.first || errors.second) << errors.first.message();
    const std::string sent = weft_test::pattern(0, 1'000'000);
    weft::gather(
        [&] {
          asio::write(both.client, asio::buffer(sent));
          std::string back(sent.size(), '\0');
          EXPECT_EQ(asio::read(both.client, asio::buffer(back)), sent.size());
          EXPECT_EQ(back, sent);
          error_code error;
          both.client.shutdown(error);
          EXPECT_FALSE(error) << error.message();
        },
        [&] {
          std::string got(sent.size(), '\0');
          asio::read(both.server, asio::buffer(got));
          asio::write(both.server, asio::buffer(got));
          error_code error;
          char more[1];
          EXPECT_EQ(both.server.read_some(asio::buffer(more), error), 0u);
          EXPECT_EQ(error, asio::error::eof);
          both.server.shutdown(error);
          EXPECT_FALSE(error) << error.message();
        });
  });
}

TEST_P(AsioTls, ConnectionThatIsCutIsTruncatedNotEnded) {
  inside([] {
    tls_pair both = make_pair();
    handshake(both);
    both.server.next_layer().close();
    char bytes[1];
    error_code error;
    both.client.read_some(asio::buffer(bytes), error);
    EXPECT_EQ(error, ssl::error::stream_truncated);
  });
}

TEST_P(AsioTls, ServerIsToldTheNameOfTheHost) {
  inside([] {
    auto [client, accepted] = weft_test::tcp_pair();
    tls_stream far(std::move(client), all().client), near(std::move(accepted), all().server);
    SSL_set_tlsext_host_name(far.native_handle(), "localhost");
    weft::gather([&] { far.handshake(ssl::stream_base::client); },
                 [&] { near.handshake(ssl::stream_base::server); });
    EXPECT_STREQ(SSL_get_servername(near.native_handle(), TLSEXT_NAMETYPE_host_name), "localhost");
  });
}

TEST_P(AsioTls, BadHandshakesDoNotDisturbGoodOnes) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    std::atomic<int> served{0}, failed{0};
    weft::group server;
    server.go([&] {
      weft::serve(listener, [&](weft::tcp_stream connection) {
        tls_stream client(std::move(connection), all().server);
        error_code error;
        client.handshake(ssl::stream_base::server, error);
        char bytes[100];
        while (!error) {
          const std::size_t n = client.read_some(asio::buffer(bytes), error);
          if (!error) asio::write(client, asio::buffer(bytes, n), error);
        }
        // Of a good client the end, of a bad one its alert or that it spoke no TLS.
        ++(error == asio::error::eof ? served : failed);
        if (error == asio::error::eof) client.shutdown(error);
      });
    });
    std::vector<int> numbers(100);
    for (int i = 0; i < 100; ++i) numbers[static_cast<std::size_t>(i)] = i;
    const auto errors = weft::map(numbers, [&](int i) {
      error_code error;
      if (i % 25 == 13) {  // no TLS at all
        owned peer(weft::connect_tcp("127.0.0.1", listener.port()));
        peer.write_some(asio::buffer("GET / HTTP/1.1\r\n\r\n", 18));
        char bytes[100];
        while (!error) peer.read_some(asio::buffer(bytes), error);
        return std::string("not TLS");
      }
      tls_stream peer = connect(listener.port(), i % 25 == 7 ? "wrong" : "localhost");
      peer.handshake(ssl::stream_base::client, error);
      if (error) return error.message();
      for (int round = 0; round < 5; ++round) {
        const std::string sent = weft_test::pattern(static_cast<std::size_t>(i), 50);
        std::string got(sent.size(), '\0');
        asio::write(peer, asio::buffer(sent));
        asio::read(peer, asio::buffer(got));
        EXPECT_EQ(got, sent);
      }
      peer.shutdown(error);
      return error.message();
    });
    listener.close();
    server.wait();
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const std::string expected = i % 25 == 13  ? "not TLS"
                                   : i % 25 == 7 ? "certificate verify failed"
                                                 : error_code().message();
      EXPECT_NE(errors[i].find(expected), std::string::npos) << i << ": " << errors[i];
    }
    EXPECT_EQ(served, 92);
    EXPECT_EQ(failed, 8);
  });
}

// Whenever it is called, another fiber has failed on this thread and left its errors behind.
class spoilt_stream {
 public:
  explicit spoilt_stream(weft::tcp_stream stream) : stream_(std::move(stream)) {}

  std::size_t read(void* to, std::size_t n) {
    const std::size_t got = stream_.read(to, n);
    spoil();
    return got;
  }
  void write(const void* from, std::size_t n) {
    stream_.write(from, n);
    spoil();
  }
  void close() { stream_.close(); }

 private:
  static void spoil() {
    ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
    ERR_raise(ERR_LIB_SYS, ECONNRESET);
  }
  weft::tcp_stream stream_;
};

TEST_P(AsioTls, ErrorsThatOthersLeftOnTheThreadAreNotOurs) {
  inside([] {
    using spoilt = ssl::stream<weft::asio_stream<spoilt_stream>>;
    auto [near, far] = weft_test::tcp_pair();
    spoilt client(spoilt_stream(std::move(near)), all().client);
    spoilt server(spoilt_stream(std::move(far)), all().server);
    weft::gather(
        [&] {
          client.handshake(ssl::stream_base::client);
          for (int i = 0; i < 10; ++i) {
            char byte = 'x';
            asio::write(client, asio::buffer(&byte, 1));
            asio::read(client, asio::buffer(&byte, 1));
          }
          client.shutdown();
        },
        [&] {
          server.handshake(ssl::stream_base::server);
          error_code error;
          char byte;
          while (server.read_some(asio::buffer(&byte, 1), error) > 0)
            asio::write(server, asio::buffer(&byte, 1));
          EXPECT_EQ(error, asio::error::eof);
          server.shutdown();
        });
    ERR_clear_error();
  });
}

TEST_P(AsioTls, DeadlineAndCancellationPassThroughAHandshake) {
  inside([] {
    tls_pair both = make_pair();  // whose server says nothing
    error_code error;
    EXPECT_THROW(
        weft::with_timeout(5ms, [&] { both.client.handshake(ssl::stream_base::client, error); }),
        weft::timed_out);
    both.client.next_layer().close();

    tls_pair again = make_pair();
    weft::group tasks;
    auto silent = tasks.go([&] {
      return weft_test::outcome([&] { again.client.handshake(ssl::stream_base::client, error); });
    });
    weft_test::until_parked(1);
    tasks.cancel();
    tasks.wait();
    EXPECT_EQ(weft_test::outcome(silent), "cancelled");
  });
}

TEST_P(AsioTls, HttpAndWebSocketsGoOverIt) {
  inside([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::group server;
    server.go([&] {
      websocket::stream<tls_stream> client(listener.accept(), all().server);
      client.next_layer().handshake(ssl::stream_base::server);
      beast::flat_buffer buffer;
      http::request<http::empty_body> request;
      http::read(client.next_layer(), buffer, request);
      client.accept(request);
      beast::flat_buffer message;
      error_code error;
      while (client.read(message, error), !error) {
        client.write(message.data());
        message.clear();
      }
      EXPECT_EQ(error, websocket::error::closed);
    });
    websocket::stream<tls_stream> stream(connect(listener.port()));
    stream.next_layer().handshake(ssl::stream_base::client);
    stream.handshake("localhost", "/");
    for (const std::size_t size : {1u, 1000u, 100'000u}) {
      const std::string sent(size, 'x');
      stream.write(asio::buffer(sent));
      beast::flat_buffer got;
      stream.read(got);
      EXPECT_EQ(beast::buffers_to_string(got.data()), sent);
    }
    error_code error;
    stream.close(websocket::close_code::normal, error);
    EXPECT_FALSE(error) << error.message();
    server.wait();
  });
}

}  // namespace
