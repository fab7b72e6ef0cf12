// See socket.hpp.
#include "io/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/address_access.hpp"
#include "io/any_fd.hpp"
#include "io/file_calls.hpp"
#include "io/socket_calls.hpp"
#include "reactor/poll_set.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t most_pieces = 64;  // in one system call; the system takes 1024

// What is left of the buffers to write, as the system wants it.
class pieces_left {
 public:
  pieces_left(const const_buffer* pieces, std::size_t count) noexcept
      : next_(pieces), end_(pieces + count) {
    for (const const_buffer* at = next_; at != end_; ++at) all_ += at->size();
    advance(0);  // past empty ones
  }

  std::size_t all() const noexcept { return all_; }
  std::size_t done() const noexcept { return done_; }

  ssize_t send(const stream_calls& by, int fd, std::size_t& offered) {
    if (next_ + 1 == end_ || by.write_pieces == nullptr) {
      offered = next_->size() - skip_;
      return by.write(fd, static_cast<const char*>(next_->data()) + skip_, offered);
    }
    std::array<iovec, most_pieces> raw;
    std::size_t count = 0;
    std::size_t skip = skip_;
    offered = 0;
    for (const const_buffer* at = next_; at != end_ && count < most_pieces; ++at) {
      auto* data = static_cast<char*>(const_cast<void*>(at->data()));
      raw[count++] = {data + skip, at->size() - skip};
      offered += at->size() - skip;
      skip = 0;
    }
    return count == 1 ? by.write(fd, raw[0].iov_base, raw[0].iov_len)
                      : by.write_pieces(fd, raw.data(), count);
  }

  void advance(std::size_t n) noexcept {
    done_ += n;
    skip_ += n;
    while (next_ != end_ && skip_ >= next_->size()) skip_ -= (next_++)->size();
  }

 private:
  const const_buffer* next_;
  const const_buffer* const end_;
  std::size_t skip_ = 0;  // of the first
  std::size_t done_ = 0;
  std::size_t all_ = 0;
};

ssize_t receive(int fd, void* to, std::size_t n) { return calls::receive(fd, to, n); }
ssize_t send(int fd, const void* from, std::size_t n) { return calls::send(fd, from, n); }
ssize_t send_pieces(int fd, iovec* pieces, std::size_t count) {
  return calls::send_pieces(fd, pieces, count);
}
ssize_t read_pipe(int fd, void* to, std::size_t n) { return calls::read(fd, to, n); }
ssize_t write_pipe(int fd, const void* from, std::size_t n) { return calls::write(fd, from, n); }
ssize_t write_pipe_pieces(int fd, iovec* pieces, std::size_t count) {
  return calls::write_pieces(fd, pieces, count);
}

}  // namespace

const stream_calls of_sockets{&receive, &send, &send_pieces, true, false};
const stream_calls of_unix_sockets{&receive, &send, &send_pieces, false, false};
const stream_calls of_pipes{&read_pipe, &write_pipe, &write_pipe_pieces, false, false};
const stream_calls of_any_fd{&read_any_fd, &write_any_fd, nullptr, false, true};

void socket_closer::operator()(socket* what) const noexcept { what->release(); }

socket& referred(socket* what, const char* verb) {
  if (what != nullptr) return *what;
  throw io_error(std::make_error_code(std::errc::bad_file_descriptor),
                 "cannot " + std::string(verb) + " a stream that was moved from or never opened");
}

void throw_socket_error(int code, const char* verb, const std::string& whom) {
  throw io_error(std::error_code(-code, std::generic_category()),
                 "cannot " + std::string(verb) + " " + whom);
}

direction_hold::direction_hold(socket& of, direction which, const char* verb)
    : socket_(of), which_(which), verb_(verb) {
  const ready_state got = of.enter(which);
  if (got == ready_state::ready) return;
  throw_socket_error(got == ready_state::busy ? -EBUSY : -EBADF, verb, of.whom());
}

int direction_hold::wait() {
  if (socket_.calls.shared) {
    may_be_ready() = true;  // also if this throws: nobody remembers that it became ready
    return -wait_for_fd(socket_.fd(), which_, verb_, &socket_);
  }
  switch (socket_.wait(which_, verb_)) {
    case ready_state::ready:
      may_be_ready() = true;
      return 0;
    case ready_state::failed:
      return -socket_.error(which_);
    default:
      return -ECANCELED;  // closed; the others cannot be, for nobody else is inside
  }
}

socket_hold::socket_hold(socket& of, const char* verb) : socket_(of) {
  if (!of.enter()) throw_socket_error(-EBADF, verb, of.whom());
}

std::size_t read_socket(socket* from, void* to, std::size_t n) {
  control& self = begin_io("read()");
  socket& of = referred(from, "read from");
  direction_hold in(of, direction::read, "read from");
  if (n == 0) return 0;
  for (;;) {
    if (in.may_be_ready()) {
      const ssize_t got = of.calls.read(in.fd(), to, n);
      if (got >= 0) {
        const auto bytes = static_cast<std::size_t>(got);
        in.may_be_ready() = bytes == n || bytes == 0 || !of.calls.tells_end;
        spend_io(self, bytes);
        return bytes;
      }
      if (got != -EAGAIN) throw_socket_error(static_cast<int>(got), "read from", of.whom());
      in.may_be_ready() = false;
    }
    if (const int error = in.wait()) throw_socket_error(error, "read from", of.whom());
  }
}

void write_socket(socket* to, const const_buffer* pieces, std::size_t count) {
  control& self = begin_io("write()");
  socket& of = referred(to, "write to");
  direction_hold out(of, direction::write, "write to");
  pieces_left left(pieces, count);
  while (left.done() < left.all()) {
    int error = 0;
    if (of.closed()) {
      error = -ECANCELED;
    } else if (out.may_be_ready()) {
      std::size_t offered = 0;
      const ssize_t got = left.send(of.calls, out.fd(), offered);
      if (got >= 0) {
        const auto bytes = static_cast<std::size_t>(got);
        left.advance(bytes);
        spend_io(self, bytes);
        out.may_be_ready() = bytes == offered || of.calls.shared;
        if (out.may_be_ready()) give_way(self);
        continue;
      }
      out.may_be_ready() = false;
      if (got != -EAGAIN) error = static_cast<int>(got);
    } else {
      error = out.wait();
    }
    if (error != 0) {
      out.may_be_ready() = true;  // so that the next call finds the cause, and does not wait
      throw_socket_error(error, "write to",
                         of.whom() + " after " + std::to_string(left.done()) + " of " +
                             std::to_string(left.all()) + " bytes");
    }
  }
}

void shutdown_socket(socket* of) {
  socket& which = referred(of, "shut down");
  socket_hold in(which, "shut down");
  if (const int error = calls::shutdown_write(in.fd()))
    throw_socket_error(error, "shut down", which.whom());
}

address local_address_of(socket* of) {
  socket& which = referred(of, "tell the address of");
  socket_hold in(which, "tell the local address of the connection to");
  raw_address name;
  if (const int error = calls::local_name(in.fd(), name))
    throw_socket_error(error, "tell the local address of the connection to", which.whom());
  return address_access::from(name.get());
}

int fd_of(socket* of) noexcept {
  if (of == nullptr || !of->enter()) return -1;
  const int fd = of->fd();
  of->leave();
  return fd;
}

void set_socket_option(socket* of, int level, int name, int value) {
  socket& which = referred(of, "set an option of");
  socket_hold in(which, "set an option of the connection to");
  if (const int error = calls::set_option(in.fd(), level, name, value))
    throw_socket_error(error, "set an option of the connection to", which.whom());
}

namespace {

// What concerns the connection that was to be taken, not the listener: accept(2), "Error handling".
bool is_of_connection(int code) noexcept {
  switch (-code) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
      return true;
    default:
      return false;
  }
}

}  // namespace

socket_owner accept_on(socket* listener) {
  control& self = begin_io("accept()");
  socket& from = referred(listener, "accept on");
  direction_hold in(from, direction::read, "accept on");
  for (;;) {
    if (!in.may_be_ready())
      if (const int error = in.wait()) throw_socket_error(error, "accept on", from.whom());
    raw_address peer;
    unique_fd fd(calls::accept(in.fd(), peer));
    spend_io(self, 0);
    if (fd.get() >= 0) {
      socket_owner made(from.name.empty() ? new socket(fd.get(), address_access::from(peer.get()))
                                          : new socket(fd.get(), from.name, from.calls));
      fd.release();
      return made;
    }
    if (fd.get() == -EAGAIN)
      in.may_be_ready() = false;
    else if (is_of_connection(fd.get()))
      give_way(self);
    else
      throw_socket_error(fd.get(), "accept on", from.whom());
  }
}

}  // namespace weft::detail
