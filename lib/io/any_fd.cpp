// See any_fd.hpp.
#include "io/any_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <weft/time.hpp>

#include "io/file_calls.hpp"
#include "io/file_pool.hpp"
#include "io/socket_calls.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t place_step = 256 * 1024;  // bytes copied before others get a turn
constexpr std::size_t pool_step = 1024 * 1024;  // bytes between two looks at cancellation
constexpr std::size_t device_step = 4 * 1024;

// A call by a descriptor of our own, or -EOPNOTSUPP if there can be none.
template <class Call>
ssize_t with_own(int fd, direction which, Call call) {
  if (calls::is_nonblocking(fd)) return call(fd);
  const unique_fd own(calls::open_again(fd, which));
  return own.get() >= 0 ? call(own.get()) : own.get();
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
  const ssize_t own = with_own(fd, direction::read, [&](int by) { return calls::read(by, to, n); });
  return own == -EOPNOTSUPP ? calls::read(fd, to, n) : own;
}

ssize_t write_other(int fd, const void* from, std::size_t n) {
  const ssize_t got = calls::write_now(fd, from, std::min(n, place_step));
  if (got != -EAGAIN && got != -EOPNOTSUPP) return got;
  std::size_t step = pool_step;
  if (!calls::is_file(fd)) {
    if (got == -EAGAIN) return got;
    const int ready = calls::ready_now(fd, direction::write);
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    step = device_step;
    const ssize_t own = with_own(fd, direction::write,
                                 [&](int by) { return calls::write(by, from, std::min(n, step)); });
    // A terminal may have room, and yet not for a newline, which is two bytes to it.
    if (own == -EAGAIN) sleep(std::chrono::milliseconds(1));
    if (own != -EOPNOTSUPP) return own;
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
