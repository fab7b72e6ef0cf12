// See any_fd.hpp.
#include "io/any_fd.hpp"

#include <algorithm>
#include <cerrno>

#include "io/file_calls.hpp"
#include "io/file_pool.hpp"
#include "io/socket_calls.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t place_step = 256 * 1024;  // bytes copied before others get a turn
constexpr std::size_t pool_step = 1024 * 1024;  // bytes between two looks at cancellation
constexpr std::size_t terminal_step = 4 * 1024;

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

}  // namespace

ssize_t read_any_fd(int fd, void* to, std::size_t n) {
  const ssize_t got = calls::receive(fd, to, n);
  return got == -ENOTSOCK ? read_other(fd, to, n) : got;
}

ssize_t write_any_fd(int fd, const void* from, std::size_t n) {
  const ssize_t got = calls::send(fd, from, n);
  return got == -ENOTSOCK ? write_other(fd, from, n) : got;
}

}  // namespace weft::detail
