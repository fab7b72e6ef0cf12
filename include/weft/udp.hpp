// UDP: datagrams.
//
//   weft::udp_socket echo("", 7777);
//   char bytes[1500];
//   for (;;) {
//     auto [n, from] = echo.recv_from(bytes);
//     echo.send_to(bytes, n, from);
//   }
//
// For every call here, unless it says something else:
// Cancellation: throws cancelled, before anything was sent or received.
// Throws: io_error naming the operation and the address; std::logic_error outside a fiber. On what
//   was closed, moved from or default-made the error is std::errc::bad_file_descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/address.hpp>
#include <weft/detail/bytes.hpp>
#include <weft/detail/config.hpp>
#include <weft/error.hpp>

namespace weft {
namespace detail {
class udp_state;
struct udp_closer {
  WEFT_API void operator()(udp_state* what) const noexcept;
};
}  // namespace detail

// What came: auto [bytes, address] = socket.recv_from(...). Whether it was whole is in the third
// member, which such a declaration leaves out.
struct datagram {
  std::size_t bytes = 0;   // in the buffer; 0 is a datagram, too
  weft::address address;   // of the sender
  bool truncated = false;  // there were more bytes than room; they are lost

  template <std::size_t I>
  auto& get() noexcept {
    if constexpr (I == 0)
      return bytes;
    else
      return address;
  }
  template <std::size_t I>
  const auto& get() const noexcept {
    if constexpr (I == 0)
      return bytes;
    else
      return address;
  }
};

struct udp_options {
  // Whether several sockets, also of other processes, may share the port: each gets what is sent to
  // a group that it has joined, one of them anything else.
  bool reuse_port = false;

  // Whether a socket for IPv6 refuses IPv4.
  bool ipv6_only = false;
};

// A socket for datagrams; movable, closed when destroyed. One fiber at a time may receive, a second
// one gets an io_error, std::errc::device_or_resource_busy; any number may send meanwhile. A socket
// on all interfaces has both IPv6 and IPv4: peers are told, and shown, by the address of their own
// family.
class WEFT_API udp_socket {
 public:
  udp_socket() noexcept = default;

  // Opens a socket on this host's interface, by name or by digits; no host: on all interfaces. Port
  // 0: a free one, see local_address().
  // Parks: while a name is looked up.
  explicit udp_socket(const std::string& host, std::uint16_t port, const udp_options& how = {});

  // Sends n bytes, which may be none, as one datagram.
  // Parks: while the system has no room for it.
  // Throws: io_error, std::errc::message_size, if it is longer than any datagram.
  void send_to(const void* from, std::size_t n, const address& to);

  // Receives one datagram. What finds no room in n bytes is lost, see datagram::truncated.
  // Parks: until one has come.   Cancellation: no datagram is lost.
  datagram recv_from(void* to, std::size_t n);

  // From now on send() goes to this peer, and only what it sends is received; what had come from
  // others before still is. May be called again. A host is resolved; its first address that this
  // socket can send to is taken.
  // Parks: only for a name.
  void connect(const address& peer);
  void connect(const std::string& host, std::uint16_t port);

  // As send_to() and recv_from(), for a connected socket; recv() returns the number of bytes.
  // Throws: io_error, std::errc::connection_refused, once if an earlier datagram found nobody
  // there; std::errc::destination_address_required if it is not connected.
  void send(const void* from, std::size_t n);
  std::size_t recv(void* to, std::size_t n) { return recv_from(to, n).bytes; }

  // The same for containers of bytes: what is received fills them up to their size, which stays as
  // it is; a text literal is sent without its NUL.
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void send_to(Bytes&& from, const address& to) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    send_to(bytes.data, bytes.size, to);
  }
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  datagram recv_from(Bytes&& into) {
    const detail::mutable_bytes room = detail::room_of(into);
    return recv_from(room.data, room.size);
  }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void send(Bytes&& from) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    send(bytes.data, bytes.size);
  }
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t recv(Bytes&& into) {
    return recv_from(std::forward<Bytes>(into)).bytes;
  }

  // Closes the socket. Who receives or waits to send meanwhile gets std::errc::operation_canceled.
  // In a fiber it returns when the descriptor is closed, elsewhere it may be before. Closing again,
  // or what was never open, does nothing.   Cancellation: ignored.   Threads: any.
  void close() noexcept;

  // All calls from here on never park, and any thread may make them.

  // Where it is bound; once connected, also by which of this host's addresses it sends.
  address local_address() const;

  // Whether it may send to broadcast addresses; otherwise std::errc::permission_denied.
  void set_broadcast(bool on = true);

  // Receives what is sent to a group, on one interface, by its name, or on the one the system
  // chooses. Only the groups that this socket has joined concern it.
  void join_group(const address& group, const std::string& interface = {});
  void leave_group(const address& group, const std::string& interface = {});

  // For what it sends to groups: by which interface, through how many routers (1: none, at first),
  // and whether sockets of this host get it, too (at first they do).
  void set_multicast_interface(const std::string& interface);
  void set_multicast_ttl(int hops);
  void set_multicast_loopback(bool on);

  // The descriptor, for options that have no call here; -1 if there is none. It stays ours: do not
  // close it, and do not let it block.
  int fd() const noexcept;

  // Whether it is open.
  explicit operator bool() const noexcept;

 private:
  std::unique_ptr<detail::udp_state, detail::udp_closer> state_;
};

}  // namespace weft

template <>
struct std::tuple_size<weft::datagram> : std::integral_constant<std::size_t, 2> {};
template <>
struct std::tuple_element<0, weft::datagram> {
  using type = std::size_t;
};
template <>
struct std::tuple_element<1, weft::datagram> {
  using type = weft::address;
};
