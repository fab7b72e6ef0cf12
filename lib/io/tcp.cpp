// TCP streams and listeners; see socket.hpp for what stands behind them, connect.cpp for
// connecting.
#include <weft/tcp.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <weft/dns.hpp>

#include "io/address_access.hpp"
#include "io/file_calls.hpp"
#include "io/socket.hpp"
#include "io/socket_calls.hpp"

namespace weft {

using detail::socket_owner;

// ---- streams

address tcp_stream::local_address() const { return detail::local_address_of(socket_.get()); }

address tcp_stream::remote_address() const {
  return detail::referred(socket_.get(), "tell the address of").remote;
}

void tcp_stream::set_nodelay(bool on) {
  detail::set_socket_option(socket_.get(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

void tcp_stream::set_keepalive(bool on, std::chrono::seconds idle) {
  detail::set_socket_option(socket_.get(), SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0);
  if (!on || idle.count() <= 0) return;
  constexpr std::chrono::seconds::rep longest = 32767;  // MAX_TCP_KEEPIDLE of Linux
  const int seconds = static_cast<int>(std::min(idle.count(), longest));
  detail::set_socket_option(socket_.get(), IPPROTO_TCP, TCP_KEEPIDLE, seconds);
}

// ---- listening

namespace detail {
namespace {

socket_owner try_listen(const address& on, const listen_options& how, int& error) {
  const raw_address raw = address_access::raw(on);
  unique_fd fd(calls::open_socket(raw.get()->sa_family, SOCK_STREAM));
  error = std::min(fd.get(), 0);
  const auto set = [&](int level, int name, bool to) {
    if (error == 0) error = calls::set_option(fd.get(), level, name, to ? 1 : 0);
  };
  set(SOL_SOCKET, SO_REUSEADDR, true);
  if (how.reuse_port) set(SOL_SOCKET, SO_REUSEPORT, true);
  if (on.kind() == address::family::ipv6) set(IPPROTO_IPV6, IPV6_V6ONLY, how.ipv6_only);
  set(IPPROTO_TCP, TCP_NODELAY, true);  // what is accepted inherits it
  if (error == 0) error = calls::bind(fd.get(), raw);
  if (error == 0) error = calls::listen(fd.get(), how.backlog);
  raw_address name;
  if (error == 0) error = calls::local_name(fd.get(), name);
  if (error != 0) return nullptr;
  socket_owner made(new socket(fd.get(), address_access::from(name.get())));
  fd.release();
  return made;
}

}  // namespace
}  // namespace detail

tcp_listener listen_tcp(const std::string& host, std::uint16_t port, const listen_options& how) {
  const std::vector<address> addresses =
      host.empty() ? std::vector<address>{address("::", port), address("0.0.0.0", port)}
                   : resolve(host, port);
  detail::begin_io("listen_tcp()");
  int error = 0;
  for (const address& each : addresses) {
    socket_owner made = detail::try_listen(each, how, error);
    if (error == 0) return detail::socket_access::make<tcp_listener>(std::move(made));
    // Only for want of the protocol: a port that is taken for one should not be had for the other.
    if (error != -EAFNOSUPPORT && error != -EADDRNOTAVAIL) break;
  }
  throw io_error(std::error_code(-error, std::generic_category()),
                 "cannot listen on " + host + ":" + std::to_string(port));
}

tcp_stream tcp_listener::accept() {
  return detail::socket_access::make<tcp_stream>(detail::accept_on(socket_.get()));
}

std::uint16_t tcp_listener::port() const { return local_address().port(); }

address tcp_listener::local_address() const {
  return detail::referred(socket_.get(), "tell the address of").remote;
}

}  // namespace weft
