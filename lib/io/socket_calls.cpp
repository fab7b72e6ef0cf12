// See socket_calls.hpp.
#include "io/socket_calls.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "io/direct_calls.hpp"

#define WEFT_CALL __attribute__((noinline))

namespace weft::detail::calls {

WEFT_CALL int open_socket(int family, int type) noexcept {
  return repeat([&] { return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); });
}

WEFT_CALL int accept(int fd, raw_address& from) noexcept {
  return repeat([&] {
    from.size = sizeof from.bytes;
    return ::accept4(fd, from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  });
}

WEFT_CALL int connect(int fd, const raw_address& to) noexcept {
  const int error = repeat([&] { return ::connect(fd, to.get(), to.size); });
  return error == -EALREADY ? -EINPROGRESS : error;  // interrupted, it goes on by itself
}

WEFT_CALL int bind(int fd, const raw_address& to) noexcept {
  return repeat([&] { return ::bind(fd, to.get(), to.size); });
}

WEFT_CALL int listen(int fd, int backlog) noexcept {
  return repeat([&] { return ::listen(fd, backlog); });
}

WEFT_CALL int shutdown_write(int fd) noexcept {
  return repeat([&] { return ::shutdown(fd, SHUT_WR); });
}

WEFT_CALL int local_name(int fd, raw_address& out) noexcept {
  out.size = sizeof out.bytes;
  return repeat([&] { return ::getsockname(fd, out.get(), &out.size); });
}

WEFT_CALL int peer_name(int fd, raw_address& out) noexcept {
  out.size = sizeof out.bytes;
  return repeat([&] { return ::getpeername(fd, out.get(), &out.size); });
}

WEFT_CALL int set_option(int fd, int level, int name, int value) noexcept {
  return repeat([&] { return ::setsockopt(fd, level, name, &value, sizeof value); });
}

WEFT_CALL int make_pipe(int (&ends)[2]) noexcept {
  return repeat([&] { return ::pipe2(ends, O_NONBLOCK | O_CLOEXEC); });
}

WEFT_CALL int pending_error(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  const int failed = repeat([&] { return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size); });
  return failed != 0 ? failed : -error;
}

WEFT_CALL int make_socket_pair(int (&ends)[2]) noexcept {
  return repeat(
      [&] { return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends); });
}

WEFT_CALL int peer_credentials(int fd, peer_process& out) noexcept {
#ifdef SO_PEERCRED
  ucred who{};
  socklen_t size = sizeof who;
  const int error = repeat([&] { return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size); });
  out = {static_cast<int>(who.pid), who.uid, who.gid};
  return error;
#else
  return repeat([&] { return ::getpeereid(fd, &out.user, &out.group); });
#endif
}

#if WEFT_DIRECT_CALLS && defined(SYS_recvfrom) && defined(SYS_sendto)

WEFT_CALL ssize_t receive(int fd, void* to, std::size_t n) noexcept {
  return repeat([&] { return ::syscall(SYS_recvfrom, fd, to, n, MSG_DONTWAIT, nullptr, nullptr); });
}

WEFT_CALL ssize_t send(int fd, const void* from, std::size_t n) noexcept {
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  return repeat([&] { return ::syscall(SYS_sendto, fd, from, n, flags, nullptr, 0L); });
}

#else

WEFT_CALL ssize_t receive(int fd, void* to, std::size_t n) noexcept {
  return repeat([&] { return ::recv(fd, to, n, MSG_DONTWAIT); });
}

WEFT_CALL ssize_t send(int fd, const void* from, std::size_t n) noexcept {
  return repeat([&] { return ::send(fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

#endif

WEFT_CALL ssize_t send_pieces(int fd, iovec* pieces, std::size_t count) noexcept {
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  return repeat([&] { return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

WEFT_CALL ssize_t write_pieces(int fd, const iovec* pieces, std::size_t count) noexcept {
  return repeat([&] { return ::writev(fd, pieces, static_cast<int>(count)); });
}

#ifdef RWF_NOWAIT

namespace {

// What a kernel says that knows no such flag, or not for this kind of file.
ssize_t unsupported(ssize_t code) noexcept {
  return code == -EINVAL || code == -ENOSYS ? -EOPNOTSUPP : code;
}

}  // namespace

WEFT_CALL ssize_t read_now(int fd, void* to, std::size_t n) noexcept {
  const iovec room{to, n};
  return unsupported(repeat([&] { return ::preadv2(fd, &room, 1, -1, RWF_NOWAIT); }));
}

WEFT_CALL ssize_t write_now(int fd, const void* from, std::size_t n) noexcept {
  const iovec bytes{const_cast<void*>(from), n};
  return unsupported(repeat([&] { return ::pwritev2(fd, &bytes, 1, -1, RWF_NOWAIT); }));
}

#else

ssize_t read_now(int, void*, std::size_t) noexcept { return -EOPNOTSUPP; }
ssize_t write_now(int, const void*, std::size_t) noexcept { return -EOPNOTSUPP; }

#endif

WEFT_CALL int ready_now(int fd, direction which) noexcept {
  pollfd asked{fd, static_cast<short>(which == direction::read ? POLLIN : POLLOUT), 0};
  const int got = repeat([&] { return ::poll(&asked, 1, 0); });
  if (got < 0) return got;
  return (asked.revents & POLLNVAL) != 0 ? -EBADF : got;
}

WEFT_CALL bool is_file(int fd) noexcept {
  struct stat about;
  if (::fstat(fd, &about) != 0) return false;
  return S_ISREG(about.st_mode) || S_ISBLK(about.st_mode) || S_ISDIR(about.st_mode);
}

WEFT_CALL bool is_nonblocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

#ifdef __linux__

namespace {

// A terminal that can be told from others, unless it is the end of a pseudo-terminal that makes a
// new pair when it is opened, or a serial line, where to open means to raise its signals.
bool is_terminal_to_open(int fd, unsigned& number) noexcept {
  unsigned other = 0;
  return ::ioctl(fd, TIOCGDEV, &number) == 0 && ::ioctl(fd, TIOCGPTN, &other) != 0 &&
         ::ioctl(fd, TIOCMGET, &other) != 0;
}

// To close any descriptor of a file gives up the process's record locks on it.
bool has_own_locks(int fd) noexcept {
  struct flock asked {};
  asked.l_type = F_WRLCK;
  asked.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK &&
         asked.l_pid == ::getpid();
}

}  // namespace

WEFT_CALL int open_again(int fd, direction which) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  const int unwanted = which == direction::read ? O_WRONLY : O_RDONLY;
  struct stat about;
  if (flags < 0 || (flags & O_ACCMODE) == unwanted || ::fstat(fd, &about) != 0) return -EOPNOTSUPP;
  const bool fifo = S_ISFIFO(about.st_mode);
  unsigned number = 0;
  if (!fifo && !is_terminal_to_open(fd, number)) return -EOPNOTSUPP;
  if (has_own_locks(fd)) return -EOPNOTSUPP;
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int access = which == direction::read ? O_RDONLY : O_WRONLY;
  const int kept = flags & O_DIRECT;  // packets
  const int own =
      repeat([&] { return ::open(path, access | kept | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); });
  if (own == -ENXIO && fifo) return -EPIPE;
  if (own < 0) return -EOPNOTSUPP;
  if (fifo) return own;
  // /dev/tty is the terminal that the process has now.
  unsigned opened = 0;
  if (::ioctl(own, TIOCGDEV, &opened) == 0 && opened == number) return own;
  ::close(own);
  return -EOPNOTSUPP;
}

#else

int open_again(int, direction) noexcept { return -EOPNOTSUPP; }

#endif

WEFT_CALL bool is_open(int fd) noexcept { return ::fcntl(fd, F_GETFD) >= 0; }

WEFT_CALL bool is_terminal(int fd) noexcept { return ::isatty(fd) == 1; }

}  // namespace weft::detail::calls
