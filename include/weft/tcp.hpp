// TCP: connecting, listening, and the streams that come of it.
//
//   auto peer = weft::connect_tcp("example.org", 80);
//   peer.write("GET / HTTP/1.0\r\n\r\n");
//   std::cout << weft::read_all(peer);
//
// Cancellation and errors are those of every stream, see stream.hpp; errors name the address.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <weft/address.hpp>
#include <weft/detail/config.hpp>
#include <weft/error.hpp>
#include <weft/serve.hpp>
#include <weft/stream.hpp>

namespace weft {

// A connection. Small writes are sent at once (TCP_NODELAY is on).
class WEFT_API tcp_stream : public stream {
 public:
  tcp_stream() noexcept = default;

  // Both ends of the connection. The remote one is known even when the stream is closed.
  address local_address() const;
  address remote_address() const;

  // Whether small writes are sent at once instead of being collected while data is under way.
  void set_nodelay(bool on = true);

  // Whether a silent peer is probed, after it has been idle for so long; 0: the system's two hours.
  void set_keepalive(bool on = true, std::chrono::seconds idle = std::chrono::seconds(0));

 private:
  friend struct detail::socket_access;
  using stream::stream;
};

struct listen_options {
  // How many connections may wait to be accepted; the system may allow fewer.
  int backlog = 4096;

  // Whether several listeners, also of other processes, may share the port and its load.
  bool reuse_port = false;

  // Whether a listener for IPv6 refuses IPv4.
  bool ipv6_only = false;
};

// A listening socket; movable, closed when destroyed. One fiber at a time may accept.
class WEFT_API tcp_listener : public detail::listener {
 public:
  tcp_listener() noexcept = default;

  // Waits for the next connection. Connections that were aborted while they waited are skipped.
  // Throws: io_error, std::errc::too_many_files_open and its like, when the process has no room for
  // the connection, which then goes on waiting. serve() copes with that.
  tcp_stream accept();

  std::uint16_t port() const;
  address local_address() const;

 private:
  friend struct detail::socket_access;
  using listener::listener;
};

// Connects to a host, by name or by digits, or to the first of its addresses that answers. They are
// tried in their order, IPv6 and IPv4 in turn: the next one when the one before has failed, or has
// been silent for 250 ms (Happy Eyeballs, RFC 8305). Once one is connected the others are given up.
// Parks: until connected.   Throws: io_error with the cause of the last attempt, or of the last
// that got any further than having no route.
WEFT_API tcp_stream connect_tcp(const std::string& host, std::uint16_t port);
WEFT_API tcp_stream connect_tcp(const std::vector<address>& to);
WEFT_API tcp_stream connect_tcp(const address& to);

// Listens on a port of this host's interface, by name or by digits; no host: on all interfaces, for
// IPv6 and IPv4. Port 0: a free one, see port(). A port that was in use a moment ago can be taken
// again (SO_REUSEADDR), one that is still listened on cannot.
WEFT_API tcp_listener listen_tcp(const std::string& host, std::uint16_t port,
                                 const listen_options& how = {});

}  // namespace weft
