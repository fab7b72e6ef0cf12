// Descriptors that the program owns. Nothing is known of them but what each call tells:
//
// (1) A socket is tried first, with a flag that forbids to wait; it is what most descriptors are.
// (2) Then whatever the kernel can read and write with RWF_NOWAIT: cached files, pipes, eventfds.
// (3) A file that would wait goes to libuv's pool.
// (4) What is left are terminals and rare devices. Reading follows poll(): it could wait only if
//     another reader came between. Writing goes to the pool, since room for some bytes does not
//     mean room for ours, and the one who makes room may be a fiber of this thread.
// Rejected: O_NONBLOCK, which belongs to all who share the open file, other processes included.
#include <weft/fd.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <weft/error.hpp>

#include "io/budget.hpp"
#include "io/file_calls.hpp"
#include "io/file_pool.hpp"
#include "io/socket_calls.hpp"
#include "reactor/poll_set.hpp"

namespace weft {
namespace detail {
namespace {

constexpr std::size_t place_step = 256 * 1024;  // bytes copied before others get a turn
constexpr std::size_t pool_step = 1024 * 1024;  // bytes between two looks at cancellation
constexpr std::size_t terminal_step = 4 * 1024;

[[noreturn]] void fail(ssize_t code, const char* verb, int fd, const std::string& progress = {}) {
  throw io_error(std::error_code(static_cast<int>(-code), std::generic_category()),
                 "cannot " + std::string(verb) + " descriptor " + std::to_string(fd) + progress);
}

ssize_t read_other(int fd, void* to, std::size_t n) {
  const ssize_t got = calls::read_now(fd, to, std::min(n, place_step));
  // Linux 5.9 and 5.10 also say 0 where nothing is cached: preadv2(2), BUGS.
  const bool unsure = got == -EAGAIN || got == -EOPNOTSUPP || (got == 0 && n > 0);
  if (!unsure) return got;
  if (calls::is_file(fd)) {
    return in_file_pool("read", [&] { return calls::read(fd, to, std::min(n, pool_step)); });
  }
  if (got != -EOPNOTSUPP) return got;
  const int ready = calls::ready_now(fd, direction::read);
  if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
  return calls::read(fd, to, n);
}

ssize_t write_other(int fd, const void* from, std::size_t n) {
  const ssize_t got = calls::write_now(fd, from, std::min(n, place_step));
  if (got != -EAGAIN && got != -EOPNOTSUPP) return got;
  std::size_t step = pool_step;
  if (!calls::is_file(fd)) {
    if (got == -EAGAIN) return got;
    const int ready = calls::ready_now(fd, direction::write);
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    step = terminal_step;
    if (calls::is_nonblocking(fd)) return calls::write(fd, from, std::min(n, step));
  }
  return in_file_pool("write", [&] { return calls::write(fd, from, std::min(n, step)); });
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
    ssize_t got = detail::calls::receive(fd, to, n);
    if (got == -ENOTSOCK) got = detail::read_other(fd, to, n);
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
    ssize_t got = detail::calls::send(fd, bytes + done, n - done);
    if (got == -ENOTSOCK) got = detail::write_other(fd, bytes + done, n - done);
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

}  // namespace weft
