// An HTTP/1.1 server: one fiber a connection, whose code is what happens to it, from top to bottom.
#pragma once
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <ctime>

#include "http/reader.hpp"
#include "http/site.hpp"

namespace web {

inline std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

inline void send(client_stream& client, response& answer, bool only_header) {
  answer.set(http::field::date, http_date());
  answer.set(http::field::server, "weft");
  answer.prepare_payload();
  http::response_serializer<http::string_body> serializer(answer);
  if (only_header) {
    http::write_header(client, serializer);
  } else {
    http::write(client, serializer);
  }
}

// Closing while the client still sends would reset the connection and take our answer with it.
inline void close_gently(weft::tcp_stream& connection) {
  connection.shutdown_write();
  char ignored[4096];
  try {
    weft::with_timeout(std::chrono::seconds(1), [&] {
      while (connection.read(ignored, sizeof ignored) > 0) {
      }
    });
  } catch (const weft::timed_out&) {
  }
  connection.close();
}

// Serves the requests of one client. Cancelling it ends it between two requests.
inline void serve_client(weft::tcp_stream connection, const site& pages, const limits& allowed) {
  client_stream client(connection);
  request_reader reader(client, allowed);
  for (bool more = true; more && reader.wait();) {
    const weft::shield finish_what_has_begun;
    response answer;
    bool only_header = false;
    try {
      const request asked = reader.read();
      answer = pages.answer(asked);
      only_header = asked.method() == http::verb::head;
      more = asked.keep_alive();
      answer.version(asked.version());
    } catch (const refused& no) {
      answer = error_reply(no.why());
      more = false;
    }
    answer.keep_alive(more);
    weft::with_timeout(allowed.write, [&] { send(client, answer, only_header); });
  }
  close_gently(connection);
}

// Serves until it is cancelled; then lets the requests that have begun end.
inline void serve(weft::tcp_listener& listener, const site& pages, const limits& allowed = {}) {
  weft::serve_options options;
  options.grace = std::chrono::seconds(0);  // serve_client() knows where it may be cut off
  const auto handle = [&](weft::tcp_stream client) {
    serve_client(std::move(client), pages, allowed);
  };
  weft::serve(listener, handle, options);
}

}  // namespace web
