// The servers: echo, and http with Beast's parser or (kind=raw) with none worth the name.
#pragma once
#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <weft/tcp.hpp>

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

// Beast's parser, which checks the whole request and here keeps nothing of it: what the answer
// depends on, keep_alive(), it knows itself.
class request_check final : public boost::beast::http::basic_parser<true> {
  using text = boost::beast::string_view;
  using error = boost::beast::error_code;

  void on_request_impl(boost::beast::http::verb, text, text, int, error&) override {}
  void on_response_impl(int, text, int, error&) override {}
  void on_field_impl(boost::beast::http::field, text, text, error&) override {}
  void on_header_impl(error&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error&) override {}
  std::size_t on_body_impl(text body, error&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, text, error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, text body, error&) override { return body.size(); }
  void on_finish_impl(error&) override {}
};

// Reads one request. False at the end of the connection, or if what came is no request.
inline bool read_request(weft::tcp_stream& client, boost::beast::flat_buffer& held,
                         request_check& into) {
  into.eager(true);
  for (;;) {
    boost::beast::error_code error;
    if (held.size() > 0) {
      held.consume(into.put(held.data(), error));
      if (into.is_done()) return true;
      if (error && error != boost::beast::http::error::need_more) return false;
    }
    const auto room = held.prepare(4096);
    const std::size_t n = client.read(room.data(), room.size());
    if (n == 0) return false;
    held.commit(n);
  }
}

inline void answer(weft::tcp_stream& client, std::string_view body, bool keep_alive) {
  std::array<char, 256> text;
  const int length = std::snprintf(
      text.data(), text.size(),
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%.*s",
      body.size(), keep_alive ? "" : "Connection: close\r\n", static_cast<int>(body.size()),
      body.data());
  client.write(text.data(), static_cast<std::size_t>(length));
}

inline void http_client(weft::tcp_stream client) {
  boost::beast::flat_buffer held;
  for (bool more = true; more;) {
    request_check asked;
    if (!read_request(client, held, asked)) return;
    more = asked.keep_alive();
    answer(client, "Hello, World!", more);
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
