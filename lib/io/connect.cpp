// Connecting to TCP listeners.
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <weft/dns.hpp>
#include <weft/tcp.hpp>

#include "io/address_access.hpp"
#include "io/file_calls.hpp"
#include "io/socket.hpp"
#include "io/socket_calls.hpp"

namespace weft {

using detail::socket_owner;

namespace detail {
namespace {

// Returns 0 once connected, or why it is not.
int wait_connected(direction_hold& out) {
  for (;;) {
    if (const int error = out.wait()) return error;
    if (const int error = calls::pending_error(out.fd())) return error;
    raw_address peer;
    const int error = calls::peer_name(out.fd(), peer);
    if (error != -ENOTCONN) return error;
  }
}

// A socket whose own port was chosen to be the one it connects to is connected to itself. Nobody
// listens there.
bool is_connected_to_itself(int fd, const address& to) noexcept {
  raw_address name;
  return calls::local_name(fd, name) == 0 && address_access::from(name.get()) == to;
}

socket_owner try_connect(const address& to, int& error) {
  const raw_address raw = address_access::raw(to);
  unique_fd fd(calls::open_socket(raw.get()->sa_family, SOCK_STREAM));
  error = std::min(fd.get(), 0);
  if (error == 0) error = calls::set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (error != 0) return nullptr;
  socket_owner made(new socket(fd.get(), to));
  fd.release();
  direction_hold out(*made, direction::write, "connect to");
  error = calls::connect(out.fd(), raw);
  if (error == -EINPROGRESS) error = wait_connected(out);
  if (error == 0 && is_connected_to_itself(out.fd(), to)) error = -ECONNREFUSED;
  if (error != 0) return nullptr;
  return made;
}

}  // namespace
}  // namespace detail

tcp_stream connect_tcp(const address& to) {
  detail::begin_io("connect_tcp()");
  if (to.kind() == address::family::none) detail::throw_socket_error(-EINVAL, "connect to", to.to_string());
  int error = 0;
  socket_owner made = detail::try_connect(to, error);
  if (error != 0) detail::throw_socket_error(error, "connect to", to.to_string());
  return detail::socket_access::make<tcp_stream>(std::move(made));
}

tcp_stream connect_tcp(const std::string& host, std::uint16_t port) {
  const std::vector<address> addresses = resolve(host, port);
  int error = 0;
  for (const address& each : addresses) {
    socket_owner made = detail::try_connect(each, error);
    if (error == 0) return detail::socket_access::make<tcp_stream>(std::move(made));
  }
  const address& last = addresses.back();
  if (last.ip() == host) detail::throw_socket_error(error, "connect to", last.to_string());
  throw io_error(std::error_code(-error, std::generic_category()),
                 "cannot connect to " + host + ":" + std::to_string(port) + ", at last by " +
                     last.to_string());
}

}  // namespace weft
