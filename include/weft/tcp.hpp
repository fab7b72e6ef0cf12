// TCP: connecting, listening, and the streams that come of it.
//
//   auto peer = weft::connect_tcp("example.org", 80);
//   peer.write("GET / HTTP/1.0\r\n\r\n");
//   std::cout << weft::read_all(peer);
//
// For every call here, unless it says something else:
// Cancellation: throws cancelled, before it has moved any bytes or while it waits for more.
// Throws: io_error naming the operation and the address; std::logic_error outside a fiber. On what
//   was closed, moved from or default-made the error is std::errc::bad_file_descriptor.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include <weft/address.hpp>
#include <weft/detail/config.hpp>
#include <weft/error.hpp>
#include <weft/serve.hpp>
#include <weft/stream.hpp>

namespace weft {

// A connection; movable, closed when destroyed. One fiber may read while another writes; a second
// reader or writer gets an io_error, std::errc::device_or_resource_busy. Small writes are sent at
// once (TCP_NODELAY is on). A peer that is gone is an io_error, never a SIGPIPE.
class WEFT_API tcp_stream {
 public:
  tcp_stream() noexcept = default;

  // Reads what has come, at most n bytes; 0 at the end of the stream, or if n is 0.
  // Parks: until something has come.   Cancellation: no byte is lost.
  std::size_t read(void* to, std::size_t n);

  // Writes all n bytes. An error tells how many of them the system had taken.
  // Parks: while the peer does not read.
  // Cancellation: what the system had taken by then, any part of the bytes, will be sent.
  void write(const void* from, std::size_t n);

  // The same for containers of bytes: reads fill up to their size, which stays as it is; a text
  // literal is written without its NUL.
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t read(Bytes&& into) {
    const detail::mutable_bytes room = detail::room_of(into);
    return read(room.data, room.size);
  }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void write(Bytes&& from) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    write(bytes.data, bytes.size);
  }

  // Writes several buffers as if they were one: client.writev({header, body}).
  void writev(const const_buffer* buffers, std::size_t count);
  void writev(std::initializer_list<const_buffer> buffers) {
    writev(buffers.begin(), buffers.size());
  }

  // Tells the peer that no more will come; reading goes on.   Never parks.   Threads: any.
  void shutdown_write();

  // Closes the connection. Who reads or writes meanwhile gets std::errc::operation_canceled. In a
  // fiber it returns when the descriptor is closed, elsewhere it may be before. Closing again, or
  // what was never open, does nothing.   Cancellation: ignored.   Threads: any.
  void close() noexcept;

  // Both ends of the connection. The remote one is known even when the stream is closed.
  address local_address() const;
  address remote_address() const;

  // Whether small writes are sent at once instead of being collected while data is under way.
  void set_nodelay(bool on = true);

  // Whether a silent peer is probed, after it has been idle for so long; 0: the system's two hours.
  void set_keepalive(bool on = true, std::chrono::seconds idle = std::chrono::seconds(0));

  // The descriptor, for options that have no call here; -1 if there is none. It stays ours: do not
  // close it, and do not let it block.
  int fd() const noexcept;

  // Whether it is open.
  explicit operator bool() const noexcept;

 private:
  friend struct detail::socket_access;
  explicit tcp_stream(detail::socket_owner socket) noexcept : socket_(std::move(socket)) {}

  detail::socket_owner socket_;
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
class WEFT_API tcp_listener {
 public:
  tcp_listener() noexcept = default;

  // Waits for the next connection. Connections that were aborted while they waited are skipped.
  // Throws: io_error, std::errc::too_many_files_open and its like, when the process has no room for
  // the connection, which then goes on waiting. serve() copes with that.
  tcp_stream accept();

  std::uint16_t port() const;
  address local_address() const;

  // Stops listening; who accepts meanwhile gets std::errc::operation_canceled. Otherwise as
  // tcp_stream::close().
  void close() noexcept;

  int fd() const noexcept;
  explicit operator bool() const noexcept;

 private:
  friend struct detail::socket_access;
  explicit tcp_listener(detail::socket_owner socket) noexcept : socket_(std::move(socket)) {}

  detail::socket_owner socket_;
};

// Connects to a host, by name or by digits. Its addresses are tried in turn.
// Parks: until connected.   Throws: io_error with the cause of the last attempt.
WEFT_API tcp_stream connect_tcp(const std::string& host, std::uint16_t port);
WEFT_API tcp_stream connect_tcp(const address& to);

// Listens on a port of this host's interface, by name or by digits; no host: on all interfaces, for
// IPv6 and IPv4. Port 0: a free one, see port(). A port that was in use a moment ago can be taken
// again (SO_REUSEADDR), one that is still listened on cannot.
WEFT_API tcp_listener listen_tcp(const std::string& host, std::uint16_t port,
                                 const listen_options& how = {});

}  // namespace weft
