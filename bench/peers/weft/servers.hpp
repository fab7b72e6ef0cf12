// The servers: echo, and http with Beast's parser or (kind=raw) with none worth the name.
#pragma once
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <weft/tcp.hpp>

#include "../../../samples/http/beast_stream.hpp"
#include "../common/program.hpp"

namespace workloads {

inline void echo_client(weft::tcp_stream client) {
  char bytes[4096];
  while (const std::size_t n = client.read(bytes, sizeof bytes)) client.write(bytes, n);
}

// A request ends where the bytes read so far end with an empty line.
inline void raw_http_client(weft::tcp_stream client) {
  static constexpr std::string_view answer =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
  char bytes[4096];
  std::size_t held = 0;
  while (held < sizeof bytes) {
    const std::size_t n = client.read(bytes + held, sizeof bytes - held);
    if (n == 0) return;
    held += n;
    if (held >= 4 && std::memcmp(bytes + held - 4, "\r\n\r\n", 4) == 0) {
      client.write(answer.data(), answer.size());
      held = 0;
    }
  }
}

inline void http_client(weft::tcp_stream client) {
  namespace http = boost::beast::http;
  web::beast_stream<weft::tcp_stream> stream(client);
  boost::beast::flat_buffer buffer;
  boost::beast::error_code error;
  for (bool more = true; more;) {
    http::request<http::empty_body> asked;
    http::read(stream, buffer, asked, error);
    if (error) return;
    more = asked.keep_alive();
    http::response<http::string_body> answer(http::status::ok, asked.version());
    answer.set(http::field::content_type, "text/plain");
    answer.keep_alive(more);
    answer.body() = "Hello, World!";
    answer.prepare_payload();
    http::write(stream, answer, error);
  }
}

template <class Handler>
int serve_until_killed(const peer::arguments& given, Handler handler) {
  auto listener =
      weft::listen_tcp("127.0.0.1", static_cast<std::uint16_t>(given.number("port", 0)));
  weft::serve(listener, handler);
  return peer::ok;
}

inline int echo(const peer::arguments& given, const peer::report&) {
  return serve_until_killed(given, &echo_client);
}

inline int http(const peer::arguments& given, const peer::report&) {
  return serve_until_killed(given, given.text("kind") == "raw" ? &raw_http_client : &http_client);
}

inline void add_servers(peer::table& all) {
  all["echo"] = echo;
  all["http"] = http;
}

}  // namespace workloads
