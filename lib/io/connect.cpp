// See connect.hpp.
#include "io/connect.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <weft/dns.hpp>
#include <weft/go.hpp>
#include <weft/semaphore.hpp>
#include <weft/tcp.hpp>

#include "base/spin_lock.hpp"
#include "fiber/shield.hpp"
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

// One fiber for each address. How each ended is recorded, whatever ends it. One that was not made,
// since there was no memory for its stack or the runtime stops, the caller makes itself in the end.
class attempts {
 public:
  explicit attempts(const std::vector<address>& in_order)
      : addresses_(in_order), errors_(in_order.size(), 0) {}

  connect_result run(std::chrono::nanoseconds delay) {
    const std::size_t all = addresses_.size();
    stopped_fibers attempts_made(all);
    for (std::size_t next = 0; next < all && !is_won(); ++next) {
      attempts_made.add(go(attempt(*this, next)));
      const auto until = std::chrono::steady_clock::now() + delay;
      while (!has_ended(next, all)) {
        if (next + 1 == all)
          changed_.acquire();
        else if (!changed_.try_acquire_until(until))
          break;
      }
    }
    for (std::size_t each = 0; each < all && !is_won(); ++each) {
      int error = error_of(each);
      if (error != not_made) continue;
      socket_owner made = try_connect(addresses_[each], error = 0);
      record(each, std::move(made), error);
    }
    std::lock_guard<spin_lock> hold(lock_);
    return won_.made ? std::move(won_) : failure();
  }

 private:
  static constexpr int not_made = -ECANCELED;

  class attempt {
   public:
    attempt(attempts& of, std::size_t which) noexcept : of_(&of), which_(which) {}
    attempt(attempt&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), which_(other.which_) {}
    ~attempt() {
      if (of_ != nullptr) of_->record(which_, nullptr, not_made);
    }
    void operator()() {
      int error = 0;
      socket_owner made = try_connect(of_->addresses_[which_], error);
      std::exchange(of_, nullptr)->record(which_, std::move(made), error);
    }

   private:
    attempts* of_;
    std::size_t which_;
  };

  // Cancelled, and waited for, in the end. That one failed is recorded already.
  class stopped_fibers {
   public:
    explicit stopped_fibers(std::size_t most) { all_.reserve(most); }
    ~stopped_fibers() {
      for (const auto& each : all_) each.cancel();
      const fiber_shield here(current_fiber());
      for (const auto& each : all_) each.wait();
    }
    stopped_fibers(const stopped_fibers&) = delete;
    stopped_fibers& operator=(const stopped_fibers&) = delete;
    void add(fiber<void> fresh) {
      ignore_failure(*task_of(fresh));
      all_.push_back(std::move(fresh));
    }

   private:
    std::vector<fiber<void>> all_;
  };

  // Any thread; no fiber if the attempt never ran.
  void record(std::size_t which, socket_owner made, int error) noexcept {
    {
      std::lock_guard<spin_lock> hold(lock_);
      errors_[which] = error;
      if (error != 0)
        ++failed_;
      else if (!won_.made)
        std::swap(won_.made, made);  // one that comes late is closed, without the lock
    }
    changed_.release();
  }

  int error_of(std::size_t which) {
    std::lock_guard<spin_lock> hold(lock_);
    return errors_[which];
  }

  bool is_won() {
    std::lock_guard<spin_lock> hold(lock_);
    return won_.made != nullptr;
  }

  // Whether the next may start, or after the last: whether it is over.
  bool has_ended(std::size_t which, std::size_t all) {
    std::lock_guard<spin_lock> hold(lock_);
    return won_.made != nullptr || (which + 1 < all ? errors_[which] != 0 : failed_ == all);
  }

  connect_result failure() const {
    std::size_t told = addresses_.size() - 1;
    for (std::size_t i = 0; i < addresses_.size(); ++i)
      if (!is_no_way(errors_[i])) told = i;
    return {nullptr, errors_[told], addresses_[told]};
  }

  const std::vector<address>& addresses_;
  counting_semaphore<> changed_{0};
  spin_lock lock_;  // guards the rest
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
