// Preloaded into a program: its reads and writes of streams move 1 to 7 bytes at a time, or are
// interrupted. weft makes some calls by syscall(), so that is wrapped as well.
// Who gets less than it asked for may take it that there is no more, says epoll(7), and wait for
// the next edge. That does not hold here, so no socket can be watched for edges.
//   WEFT_SHORTEN=read|write|both   what moves few bytes,
//   WEFT_SHORTEN_EACH=N            in each N-th call
//   WEFT_INTERRUPT=N               each N-th call fails with EINTR and does nothing; a connect()
//                                  goes on by itself, as POSIX says
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace {

std::atomic<unsigned> calls{0};

unsigned next() noexcept { return calls.fetch_add(1, std::memory_order_relaxed); }

unsigned number_in(const char* variable, unsigned otherwise) noexcept {
  const char* given = getenv(variable);
  return given == nullptr ? otherwise : static_cast<unsigned>(atoi(given));
}

bool asked(const char* what) noexcept {
  const char* given = getenv("WEFT_SHORTEN");
  return given != nullptr && (strcmp(given, what) == 0 || strcmp(given, "both") == 0);
}

template <class Function>
Function* real(const char* name) noexcept {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

long do_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
  static const auto call = real<long(long, ...)>("syscall");
  return call(number, a, b, c, d, e, f);
}

// Whether any part of what is asked for may be moved: not of a datagram or an eventfd.
bool is_stream(int fd) noexcept {
  struct stat about;
  if (fstat(fd, &about) != 0) return false;
  if (S_ISFIFO(about.st_mode)) return true;
  if (!S_ISSOCK(about.st_mode)) return false;
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

bool interrupted() noexcept {
  static const unsigned every = number_in("WEFT_INTERRUPT", 0);
  if (every == 0 || next() % every != 0) return false;
  errno = EINTR;
  return true;
}

size_t few(size_t wanted) noexcept {
  static const unsigned each = number_in("WEFT_SHORTEN_EACH", 1);
  const unsigned turn = next();
  if (turn % each != 0) return wanted;
  const unsigned number = turn * 2654435761u;
  return std::min<size_t>(wanted, 1 + (number >> 16) % 7);
}
size_t to_read(int fd, size_t wanted) noexcept {
  static const bool on = asked("read");
  return on && is_stream(fd) ? few(wanted) : wanted;
}
size_t to_write(int fd, size_t wanted) noexcept {
  static const bool on = asked("write");
  return on && is_stream(fd) ? few(wanted) : wanted;
}

long move(long number, long fd, long data, long n, long d, long e, long f, bool in) noexcept {
  if (!is_stream(static_cast<int>(fd))) return do_syscall(number, fd, data, n, d, e, f);
  if (interrupted()) return -1;
  const auto wanted = static_cast<size_t>(n);
  const int of = static_cast<int>(fd);
  const size_t some = in ? to_read(of, wanted) : to_write(of, wanted);
  return do_syscall(number, fd, data, static_cast<long>(some), d, e, f);
}

// Several pieces: the first that is not empty, as far as it goes.
long move_pieces(long number, long fd, const iovec* pieces, long count, long d, long e, long f,
                 bool in) noexcept {
  if (!is_stream(static_cast<int>(fd)))
    return do_syscall(number, fd, reinterpret_cast<long>(pieces), count, d, e, f);
  if (interrupted()) return -1;
  static const bool short_reads = asked("read");
  static const bool short_writes = asked("write");
  if (!(in ? short_reads : short_writes))
    return do_syscall(number, fd, reinterpret_cast<long>(pieces), count, d, e, f);
  while (count > 1 && pieces->iov_len == 0) {
    ++pieces;
    --count;
  }
  iovec first = *pieces;
  first.iov_len = few(first.iov_len);
  return do_syscall(number, fd, reinterpret_cast<long>(&first), 1, d, e, f);
}

long as_long(const void* what) noexcept { return reinterpret_cast<long>(what); }

}  // namespace

extern "C" {

long syscall(long number, ...) noexcept {
  va_list rest;
  va_start(rest, number);
  long x[6];
  for (long& each : x) each = va_arg(rest, long);
  va_end(rest);
  switch (number) {
    case SYS_recvfrom:
    case SYS_read:
      return move(number, x[0], x[1], x[2], x[3], x[4], x[5], true);
    case SYS_sendto:
    case SYS_write:
      return move(number, x[0], x[1], x[2], x[3], x[4], x[5], false);
    case SYS_preadv2:
    case SYS_pwritev2:
      return move_pieces(number, x[0], reinterpret_cast<iovec*>(x[1]), x[2], x[3], x[4], x[5],
                         number == SYS_preadv2);
    default:
      return do_syscall(number, x[0], x[1], x[2], x[3], x[4], x[5]);
  }
}

ssize_t read(int fd, void* to, size_t n) {
  return move(SYS_read, fd, as_long(to), static_cast<long>(n), 0, 0, 0, true);
}
ssize_t write(int fd, const void* from, size_t n) {
  return move(SYS_write, fd, as_long(from), static_cast<long>(n), 0, 0, 0, false);
}
ssize_t recv(int fd, void* to, size_t n, int flags) {
  return move(SYS_recvfrom, fd, as_long(to), static_cast<long>(n), flags, 0, 0, true);
}
ssize_t send(int fd, const void* from, size_t n, int flags) {
  return move(SYS_sendto, fd, as_long(from), static_cast<long>(n), flags, 0, 0, false);
}
ssize_t preadv2(int fd, const iovec* to, int count, off_t at, int flags) {
  return move_pieces(SYS_preadv2, fd, to, count, at, 0, flags, true);
}
ssize_t pwritev2(int fd, const iovec* from, int count, off_t at, int flags) {
  return move_pieces(SYS_pwritev2, fd, from, count, at, 0, flags, false);
}
ssize_t readv(int fd, const iovec* to, int count) {
  return move_pieces(SYS_readv, fd, to, count, 0, 0, 0, true);
}
ssize_t writev(int fd, const iovec* from, int count) {
  return move_pieces(SYS_writev, fd, from, count, 0, 0, 0, false);
}

ssize_t sendmsg(int fd, const msghdr* what, int flags) {
  static const auto call = real<ssize_t(int, const msghdr*, int)>("sendmsg");
  if (!is_stream(fd)) return call(fd, what, flags);
  if (interrupted()) return -1;
  static const bool on = asked("write");
  if (!on || what->msg_iovlen == 0) return call(fd, what, flags);
  msghdr less = *what;
  while (less.msg_iovlen > 1 && less.msg_iov->iov_len == 0) {
    ++less.msg_iov;
    --less.msg_iovlen;
  }
  iovec first = *less.msg_iov;
  first.iov_len = few(first.iov_len);
  less.msg_iov = &first;
  less.msg_iovlen = 1;
  return call(fd, &less, flags);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  static const auto call = real<int(int, int, int, epoll_event*)>("epoll_ctl");
  static const bool on = asked("read") || asked("write");
  if (on && event != nullptr && (event->events & EPOLLET) != 0 && is_stream(fd)) {
    errno = EINVAL;
    return -1;
  }
  return call(epoll, operation, fd, event);
}

int accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
  static const auto call = real<int(int, sockaddr*, socklen_t*, int)>("accept4");
  return interrupted() ? -1 : call(fd, peer, size, flags);
}

int connect(int fd, const sockaddr* to, socklen_t size) {
  static const auto call = real<int(int, const sockaddr*, socklen_t)>("connect");
  const int result = call(fd, to, size);
  return result != 0 && errno == EINPROGRESS && interrupted() ? -1 : result;
}

}  // extern "C"
