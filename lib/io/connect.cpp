// See connect.hpp.
#include "io/connect.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>
#include <weft/condition_variable.hpp>
#include <weft/dns.hpp>
#include <weft/group.hpp>
#include <weft/tcp.hpp>

#include "io/address_access.hpp"
#include "io/file_calls.hpp"
#include "io/socket_calls.hpp"

namespace weft {
namespace detail {

std::vector<address> interleave(const std::vector<address>& sorted) {
  std::vector<address> first;
  std::vector<address> other;
  for (const address& each : sorted)
    (each.kind() == sorted.front().kind() ? first : other).push_back(each);
  std::vector<address> made;
  made.reserve(sorted.size());
  for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
    if (i < first.size()) made.push_back(first[i]);
    if (i < other.size()) made.push_back(other[i]);
  }
  return made;
}

namespace {

// ---- one attempt

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
bool is_connected_to_itself(int fd, const raw_address& to) noexcept {
  raw_address name;
  return calls::local_name(fd, name) == 0 &&
         address_access::from(name.get()) == address_access::from(to.get());
}

socket_owner try_connect(const address& to, int& error) {
  if (to.kind() == address::family::none) error = -EINVAL;
  if (error != 0) return nullptr;
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
  if (error == 0 && is_connected_to_itself(out.fd(), raw)) error = -ECONNREFUSED;
  if (error != 0) return nullptr;
  return made;
}

connect_result connect_one(const address& to) {
  connect_result made;
  made.made = try_connect(to, made.error);
  made.told_by = to;
  return made;
}

// ---- several

// Whether it says no more than that this host cannot reach such addresses.
bool is_no_way(int error) noexcept {
  return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EADDRNOTAVAIL ||
         error == -EAFNOSUPPORT;
}

class attempts {
 public:
  explicit attempts(const std::vector<address>& in_order)
      : addresses_(in_order), errors_(in_order.size(), 0) {}

  connect_result run(std::chrono::nanoseconds delay) {
    group children;  // ends before what the children use
    std::unique_lock<mutex> hold(lock_);
    const std::size_t all = addresses_.size();
    for (std::size_t next = 0; next < all && !won_.made; ++next) {
      children.go([this, next] { attempt(next); });
      if (next + 1 < all)
        changed_.wait_for(hold, delay, [&] { return won_.made || errors_[next] != 0; });
      else
        changed_.wait(hold, [&] { return won_.made || failed_ == all; });
    }
    return won_.made ? std::move(won_) : failure();
  }

 private:
  void attempt(std::size_t which) {
    int error = 0;
    socket_owner made;
    try {
      made = try_connect(addresses_[which], error);
    } catch (const std::bad_alloc&) {
      error = -ENOMEM;  // an attempt that ended without a word would be waited for
    }
    std::lock_guard<mutex> hold(lock_);
    if (error != 0) {
      errors_[which] = error;
      ++failed_;
    } else if (!won_.made) {
      won_.made = std::move(made);
    }
    changed_.notify_one();
  }

  connect_result failure() const {
    std::size_t told = addresses_.size() - 1;
    for (std::size_t i = 0; i < addresses_.size(); ++i)
      if (!is_no_way(errors_[i])) told = i;
    return {nullptr, errors_[told], addresses_[told]};
  }

  const std::vector<address>& addresses_;
  mutex lock_;  // guards the rest
  condition_variable changed_;
  std::vector<int> errors_;
  std::size_t failed_ = 0;
  connect_result won_;
};

}  // namespace

connect_result connect_first(const std::vector<address>& in_order, std::chrono::nanoseconds delay) {
  return in_order.size() == 1 ? connect_one(in_order.front()) : attempts(in_order).run(delay);
}

}  // namespace detail

tcp_stream connect_tcp(const address& to) {
  detail::begin_io("connect_tcp()");
  detail::connect_result got = detail::connect_one(to);
  if (got.error != 0) detail::throw_socket_error(got.error, "connect to", to);
  return detail::socket_access::make<tcp_stream>(std::move(got.made));
}

tcp_stream connect_tcp(const std::vector<address>& to) {
  detail::begin_io("connect_tcp()");
  if (to.empty()) detail::throw_socket_error(-EINVAL, "connect to", address());
  detail::connect_result got = detail::connect_first(detail::interleave(to));
  if (got.error != 0) detail::throw_socket_error(got.error, "connect to", got.told_by);
  return detail::socket_access::make<tcp_stream>(std::move(got.made));
}

tcp_stream connect_tcp(const std::string& host, std::uint16_t port) {
  detail::connect_result got = detail::connect_first(detail::interleave(resolve(host, port)));
  if (got.error == 0) return detail::socket_access::make<tcp_stream>(std::move(got.made));
  std::string whom = host + ":" + std::to_string(port);
  const std::string how = got.told_by.to_string();
  if (got.told_by.ip() == host || how == whom)
    whom = how;
  else
    whom += " (" + how + ")";
  throw io_error(std::error_code(-got.error, std::generic_category()), "cannot connect to " + whom);
}

}  // namespace weft
