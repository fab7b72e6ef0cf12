// Descriptors that the program owns: waiting, and reads and writes by any_fd.hpp.
#include <weft/fd.hpp>

#include <cerrno>
#include <string>
#include <weft/error.hpp>

#include "io/any_fd.hpp"
#include "io/budget.hpp"
#include "io/file_calls.hpp"
#include "io/socket.hpp"
#include "io/socket_calls.hpp"
#include "reactor/poll_set.hpp"

namespace weft {
namespace detail {
namespace {

[[noreturn]] void fail(ssize_t code, const char* verb, int fd, const std::string& progress = {}) {
  throw io_error(std::error_code(static_cast<int>(-code), std::generic_category()),
                 "cannot " + std::string(verb) + " descriptor " + std::to_string(fd) + progress);
}

void wait_ready(int fd, direction which, const char* operation, const char* verb) {
  control& self = begin_io(operation);
  const int ready = calls::ready_now(fd, which);
  spend_io(self, 0);
  if (ready > 0) return;
  if (ready < 0) fail(ready, verb, fd);
  if (const int error = wait_for_fd(fd, which, verb)) fail(-error, verb, fd);
}

}  // namespace
}  // namespace detail

using detail::direction;

void wait_readable(int fd) {
  detail::wait_ready(fd, direction::read, "wait_readable()", "wait for");
}

void wait_writable(int fd) {
  detail::wait_ready(fd, direction::write, "wait_writable()", "wait for");
}

std::size_t read(int fd, void* to, std::size_t n) {
  detail::control& self = detail::begin_io("read()");
  for (;;) {
    const ssize_t got = detail::read_any_fd(fd, to, n);
    if (got >= 0) {
      detail::spend_io(self, static_cast<std::size_t>(got));
      return static_cast<std::size_t>(got);
    }
    if (got != -EAGAIN) detail::fail(got, "read from", fd);
    if (const int error = detail::wait_for_fd(fd, direction::read, "read"))
      detail::fail(-error, "read from", fd);
    detail::spend_io(self, 0);
    detail::give_way(self);
  }
}

void write(int fd, const void* from, std::size_t n) {
  detail::control& self = detail::begin_io("write()");
  const auto* bytes = static_cast<const char*>(from);
  std::size_t done = 0;
  do {
    ssize_t got = detail::write_any_fd(fd, bytes + done, n - done);
    if (got == -EAGAIN) got = -detail::wait_for_fd(fd, direction::write, "write");
    if (got < 0) {
      detail::fail(got, "write to", fd,
                   " after " + std::to_string(done) + " of " + std::to_string(n) + " bytes");
    }
    done += static_cast<std::size_t>(got);
    detail::spend_io(self, static_cast<std::size_t>(got));
    detail::give_way(self);
  } while (done < n);
}

// ---- as streams

namespace detail {
namespace {

socket_owner own_fd(int fd, std::string called) {
  return socket_owner(new socket(fd, std::move(called), of_any_fd));
}

fd_stream standard(int fd, const char* name) {
  unique_fd copy(calls::duplicate(fd));
  if (copy.get() < 0) throw_socket_error(copy.get(), "open", name);
  socket_owner made = own_fd(copy.get(), name);
  copy.release();
  return socket_access::make<fd_stream>(std::move(made));
}

}  // namespace
}  // namespace detail

fd_stream::fd_stream(int fd) {
  if (!detail::calls::is_open(fd)) detail::fail(-EBADF, "take over", fd);
  socket_ = detail::own_fd(fd, "descriptor " + std::to_string(fd));
}

bool fd_stream::is_terminal() const noexcept {
  if (socket_ == nullptr || !socket_->enter()) return false;
  const bool is = detail::calls::is_terminal(socket_->fd());
  socket_->leave();
  return is;
}

fd_stream standard_input() { return detail::standard(0, "standard input"); }
fd_stream standard_output() { return detail::standard(1, "standard output"); }
fd_stream standard_error() { return detail::standard(2, "standard error"); }

}  // namespace weft
