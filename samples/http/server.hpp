// An HTTP/1.1 server: one fiber a connection, whose code is what happens to it, from top to bottom.
#pragma once
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <iostream>
#include <weft/asio.hpp>

#include "http/date.hpp"
#include "http/reader.hpp"
#include "http/sendfile.hpp"
#include "http/site.hpp"

namespace web {

using client_stream = weft::asio_stream<weft::tcp_stream>;

// False if the client is gone, or the file shorter than it was.
inline bool send(client_stream& client, response& answer, bool only_header, const limits& allowed) {
  answer.set(http::field::date, http_date(std::time(nullptr)));
  answer.set(http::field::server, "weft");
  answer.prepare_payload();
  if (answer.result() == status::not_modified) answer.erase(http::field::content_length);
  const bool by_kernel = !only_header && is_worth_sendfile(answer.body());
  const bool split = only_header || by_kernel;
  http::response_serializer<content> serializer(answer);
  serializer.split(split);
  boost::beast::error_code error;
  while (!error && !(split ? serializer.is_header_done() : serializer.is_done())) {
    weft::with_timeout(allowed.write, [&] { http::write_some(client, serializer, error); });
  }
  if (error || !by_kernel) return !error;
  return send_file(client.stream(), answer.body(), allowed.write);
}

// Closing while the client still sends would reset the connection and take our answer with it.
inline void close_gently(client_stream& client) {
  boost::beast::error_code error;
  client.shutdown_write(error);
  char ignored[4096];
  try {
    weft::with_timeout(std::chrono::seconds(1), [&] {
      while (!error) client.read_some(boost::asio::buffer(ignored), error);
    });
  } catch (const weft::timed_out&) {
  }
  client.close();
}

// Serves the requests of one client. Cancelling it ends it between two requests.
inline void serve_client(weft::tcp_stream connection, const site& pages, const limits& allowed) {
  client_stream client(std::move(connection));
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
    if (!send(client, answer, only_header, allowed)) return;
  }
  close_gently(client);
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

// Serves on this port, of this machine alone, until a signal comes.
inline void serve_until(weft::signal_listener& stop, std::uint16_t port, const site& pages,
                        const limits& allowed = {}) {
  auto listener = weft::listen_tcp("127.0.0.1", port);
  std::cout << "Listening on port " << listener.port() << '.' << std::endl;
  weft::group server;
  server.go([&] { serve(listener, pages, allowed); });
  stop.next();
  std::cout << "Stopping." << std::endl;
  server.cancel();
  server.wait();
}

}  // namespace web
