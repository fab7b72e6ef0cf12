// UDP sockets: a watched descriptor, and how to wait for it.
// Any fiber sends, receives and closes; a plain thread may close, destroy and set options.
//
// (1) One fiber receives, by watch::enter(). Senders are many: a datagram is sent by one call, or
//     not at all, so they need no order. Only a sender that has to wait takes the write direction,
//     and others that have to wait queue up for it.
// (2) Who waits has made its call in vain since it took the direction: the registration may be
//     edge-triggered (watch.hpp (1)). After a datagram there may be another one, so only an EAGAIN
//     says that the next call has to wait.
// (3) Cancellation is delivered before a call, or after one that did nothing: what was received is
//     always returned.
#include <weft/udp.hpp>

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <vector>
#include <weft/dns.hpp>
#include <weft/semaphore.hpp>

#include "io/address_access.hpp"
#include "io/budget.hpp"
#include "io/file_calls.hpp"
#include "io/socket.hpp"
#include "io/udp_calls.hpp"
#include "reactor/watch.hpp"

namespace weft {
namespace detail {

class udp_state final : public watch {
 public:
  // Takes the descriptor over.
  udp_state(int fd, address::family of, const address& where) noexcept
      : watch(fd), family(of), bound(where) {}

  const address::family family;
  const address bound;             // for the texts of errors
  bool may_receive = true;         // of who has entered the read direction: see (2)
  binary_semaphore sends_next{1};  // whose turn it is to wait until it can send
};

void udp_closer::operator()(udp_state* what) const noexcept { what->release(); }

namespace {

udp_state& opened(udp_state* what, const char* verb) {
  if (what != nullptr) return *what;
  throw io_error(std::make_error_code(std::errc::bad_file_descriptor),
                 "cannot " + std::string(verb) + " a socket that was moved from or never opened");
}

// For calls that do not wait; any number at once.
class udp_hold {
 public:
  udp_hold(udp_state* of, const char* verb) : state_(opened(of, verb)) {
    if (!state_.enter()) throw_socket_error(-EBADF, verb, state_.bound);
  }
  ~udp_hold() { state_.leave(); }
  udp_hold(const udp_hold&) = delete;
  udp_hold& operator=(const udp_hold&) = delete;

  udp_state* operator->() const noexcept { return &state_; }
  udp_state& operator*() const noexcept { return state_; }
  int fd() const noexcept { return state_.fd(); }

 private:
  udp_state& state_;
};

// One direction, to wait for.
class udp_direction {
 public:
  udp_direction(udp_state& of, direction which) noexcept
      : state_(of), which_(which), got_(of.enter(which)) {}
  ~udp_direction() {
    if (got_ == ready_state::ready) state_.leave(which_);
  }
  udp_direction(const udp_direction&) = delete;
  udp_direction& operator=(const udp_direction&) = delete;

  ready_state got() const noexcept { return got_; }

  // Returns 0 or why it will never be ready.
  int wait(const char* what) {
    switch (state_.wait(which_, what)) {
      case ready_state::ready:
        return 0;
      case ready_state::failed:
        return -state_.error(which_);
      default:
        return -ECANCELED;  // closed
    }
  }

 private:
  udp_state& state_;
  const direction which_;
  const ready_state got_;
};

// ---- sending

ssize_t send_when_possible(udp_state& of, const void* from, std::size_t n, const raw_address* to) {
  of.sends_next.acquire();
  struct pass_on {
    binary_semaphore& turn;
    ~pass_on() { turn.release(); }
  } at_the_end{of.sends_next};
  udp_direction out(of, direction::write);
  if (out.got() != ready_state::ready) return -ECANCELED;  // closed meanwhile
  for (;;) {
    const ssize_t sent = calls::send_to(of.fd(), from, n, to);
    if (sent != -EAGAIN) return sent;
    if (const int error = out.wait("send")) return error;
  }
}

void send_datagram(const udp_hold& in, control& self, const void* from, std::size_t n,
                   const raw_address* to, const address& whom, const char* verb) {
  ssize_t sent = calls::send_to(in.fd(), from, n, to);
  if (sent == -EAGAIN) sent = send_when_possible(*in, from, n, to);
  if (sent < 0) throw_socket_error(static_cast<int>(sent), verb, whom);
  spend_io(self, n);
}

// ---- opening

int open_udp(const address& on, const udp_options& how, udp_state*& made) {
  const raw_address raw = address_access::raw(on);
  unique_fd fd(calls::open_socket(raw.get()->sa_family, SOCK_DGRAM));
  int error = std::min(fd.get(), 0);
  const auto set = [&](int level, int name, bool to) {
    if (error == 0) error = calls::set_option(fd.get(), level, name, to ? 1 : 0);
  };
  if (how.reuse_port) set(SOL_SOCKET, SO_REUSEADDR, true);
  if (how.reuse_port) set(SOL_SOCKET, SO_REUSEPORT, true);
  if (on.kind() == address::family::ipv6) set(IPPROTO_IPV6, IPV6_V6ONLY, how.ipv6_only);
  if (error == 0) calls::hear_own_groups_only(fd.get());
  if (error == 0) error = calls::bind(fd.get(), raw);
  raw_address name;
  if (error == 0) error = calls::local_name(fd.get(), name);
  if (error != 0) return error;
  made = new udp_state(fd.get(), on.kind(), address_access::from(name.get()));
  fd.release();
  return 0;
}

}  // namespace
}  // namespace detail

using detail::address_access;

udp_socket::udp_socket(const std::string& host, std::uint16_t port, const udp_options& how) {
  const std::vector<address> addresses =
      host.empty() ? std::vector<address>{address("::", port), address("0.0.0.0", port)}
                   : resolve(host, port);
  detail::begin_io("udp_socket()");
  int error = 0;
  for (const address& each : addresses) {
    detail::udp_state* made = nullptr;
    error = detail::open_udp(each, how, made);
    state_.reset(made);
    if (error == 0) return;
    // Only for want of the protocol, as listen_tcp().
    if (error != -EAFNOSUPPORT && error != -EADDRNOTAVAIL) break;
  }
  throw io_error(std::error_code(-error, std::generic_category()),
                 "cannot open a UDP socket on " + host + ":" + std::to_string(port));
}

void udp_socket::send_to(const void* from, std::size_t n, const address& to) {
  detail::control& self = detail::begin_io("send_to()");
  const detail::udp_hold in(state_.get(), "send from");
  if (to.kind() == address::family::none) detail::throw_socket_error(-EINVAL, "send to", to);
  const detail::raw_address raw = address_access::raw(address_access::for_family(to, in->family));
  detail::send_datagram(in, self, from, n, &raw, to, "send to");
}

void udp_socket::send(const void* from, std::size_t n) {
  detail::control& self = detail::begin_io("send()");
  const detail::udp_hold in(state_.get(), "send from");
  detail::send_datagram(in, self, from, n, nullptr, in->bound, "send from");
}

datagram udp_socket::recv_from(void* to, std::size_t n) {
  detail::control& self = detail::begin_io("recv_from()");
  detail::udp_state& of = detail::opened(state_.get(), "receive on");
  detail::udp_direction in(of, detail::direction::read);
  int error = 0;
  if (in.got() != detail::ready_state::ready)
    error = in.got() == detail::ready_state::busy ? -EBUSY : -EBADF;
  while (error == 0) {
    if (of.may_receive) {
      detail::raw_address from;
      datagram made;
      const ssize_t got = detail::calls::receive_from(of.fd(), to, n, from, made.truncated);
      if (got >= 0) {
        made.bytes = static_cast<std::size_t>(got);
        made.address = address_access::from(from.get());
        detail::spend_io(self, made.bytes);
        return made;
      }
      of.may_receive = got != -EAGAIN;
      if (of.may_receive) error = static_cast<int>(got);
    } else {
      error = in.wait("recv");
      of.may_receive = true;
    }
  }
  detail::throw_socket_error(error, "receive on", of.bound);
}

void udp_socket::connect(const address& peer) {
  detail::begin_io("connect()");
  const detail::udp_hold in(state_.get(), "connect");
  int error = -EINVAL;
  if (peer.kind() != address::family::none) {
    const address to = address_access::for_family(peer, in->family);
    error = detail::calls::connect(in.fd(), address_access::raw(to));
  }
  if (error != 0) detail::throw_socket_error(error, "connect to", peer);
}

void udp_socket::connect(const std::string& host, std::uint16_t port) {
  detail::opened(state_.get(), "connect");
  const std::vector<address> addresses = resolve(host, port);
  for (const address& each : addresses) {
    try {
      connect(each);
      return;
    } catch (const io_error&) {
      if (&each == &addresses.back()) throw;
    }
  }
}

void udp_socket::close() noexcept {
  if (state_ != nullptr) state_->close();
}

// ---- options

address udp_socket::local_address() const {
  const detail::udp_hold in(state_.get(), "tell the address of");
  detail::raw_address name;
  if (const int error = detail::calls::local_name(in.fd(), name))
    detail::throw_socket_error(error, "tell the address of", in->bound);
  return address_access::from(name.get());
}

namespace detail {
namespace {

void check(int error, const udp_hold& of) {
  if (error != 0) throw_socket_error(error, "set an option of", of->bound);
}

// Returns 0 for no name: the system's choice.
unsigned interface_of(const std::string& name) {
  const unsigned number = name.find('\0') == name.npos ? calls::interface_number(name.c_str()) : 0;
  if (number != 0 || name.empty()) return number;
  throw io_error(std::make_error_code(std::errc::no_such_device),
                 "cannot use the interface \"" + name + "\"");
}

void change_group(int (*change)(int fd, const raw_address& group, unsigned interface) noexcept,
                  const udp_hold& in, const char* verb, const address& group,
                  const std::string& interface) {
  const unsigned number = interface_of(interface);
  const bool known = group.kind() != address::family::none;
  const int error = known ? change(in.fd(), address_access::raw(group), number) : -EINVAL;
  if (error != 0) throw_socket_error(error, verb, group);
}

}  // namespace
}  // namespace detail

void udp_socket::set_broadcast(bool on) {
  const detail::udp_hold in(state_.get(), "set an option of");
  detail::check(detail::calls::set_option(in.fd(), SOL_SOCKET, SO_BROADCAST, on ? 1 : 0), in);
}

void udp_socket::join_group(const address& group, const std::string& interface) {
  const detail::udp_hold in(state_.get(), "join a group with");
  detail::change_group(detail::calls::join_group, in, "join", group, interface);
}

void udp_socket::leave_group(const address& group, const std::string& interface) {
  const detail::udp_hold in(state_.get(), "leave a group with");
  detail::change_group(detail::calls::leave_group, in, "leave", group, interface);
}

void udp_socket::set_multicast_interface(const std::string& interface) {
  const detail::udp_hold in(state_.get(), "set an option of");
  const unsigned number = detail::interface_of(interface);
  detail::check(detail::calls::set_multicast_interface(in.fd(), in->family, number), in);
}

void udp_socket::set_multicast_ttl(int hops) {
  const detail::udp_hold in(state_.get(), "set an option of");
  detail::check(detail::calls::set_multicast_ttl(in.fd(), in->family, hops), in);
}

void udp_socket::set_multicast_loopback(bool on) {
  const detail::udp_hold in(state_.get(), "set an option of");
  detail::check(detail::calls::set_multicast_loopback(in.fd(), in->family, on), in);
}

int udp_socket::fd() const noexcept {
  if (state_ == nullptr || !state_->enter()) return -1;
  const int fd = state_->fd();
  state_->leave();
  return fd;
}

udp_socket::operator bool() const noexcept { return fd() >= 0; }

}  // namespace weft
