// What budgets.py counts the instructions of, in user space: one operation, n times.
//   probe <operation> <n>
//
// Valgrind runs the same instructions each time only if nothing that the program sees differs:
// (1) Time is not the machine's. clock_gettime() below answers in place of the C library's: each
//     thread reads a clock that goes one microsecond further each time it is read. So a worker
//     polls after the same number of switches, be valgrind fast or slow.
// (2) That clock is far ahead of the kernel's, so no wait of the monitor or a timer ever ends by
//     itself: the monitor sleeps from start to end.
// (3) A message has arrived when the call that sent it returns: send(), sendmsg() and syscall()
//     below see to that. So it never depends on the kernel whether a read or a poll finds it.
// (4) There is one worker, and no thread but its own does anything between start and end.
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <weft/cancel.hpp>
#include <weft/channel.hpp>
#include <weft/go.hpp>
#include <weft/runtime.hpp>
#include <weft/tcp.hpp>

namespace {

constexpr time_t far_ahead_seconds = 1'000'000'000;

// Both ends of the one connection.
int client_end = -1;
int server_end = -1;

// The kernel itself, since the C library's way to it is taken.
long kernel(long number, long a, long b, long c, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

long address(const volatile void* what) { return reinterpret_cast<long>(what); }

long with_errno(long result) {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

// Sends, and waits until the other end has it.
long sent(long number, long fd, long b, long c, long d = 0, long e = 0, long f = 0) {
  const long result = kernel(number, fd, b, c, d, e, f);
  if (result > 0 && (fd == client_end || fd == server_end)) {
    pollfd other{fd == client_end ? server_end : client_end, POLLIN, 0};
    kernel(SYS_poll, address(&other), 1, -1);
  }
  return with_errno(result);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t, timespec* out) noexcept {
  static thread_local long microseconds = 0;
  ++microseconds;
  out->tv_sec = far_ahead_seconds + microseconds / 1'000'000;
  out->tv_nsec = microseconds % 1'000'000 * 1000;
  return 0;
}

ssize_t send(int fd, const void* bytes, size_t n, int flags) {
  return sent(SYS_sendto, fd, address(bytes), static_cast<long>(n), flags);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return sent(SYS_sendmsg, fd, address(message), flags);
}

long syscall(long number, ...) noexcept {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (long& each : a) each = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_sendto || number == SYS_sendmsg)
    return sent(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return with_errno(kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

int connect(int fd, const sockaddr* to, socklen_t size) {
  client_end = fd;
  return static_cast<int>(with_errno(kernel(SYS_connect, fd, address(to), size)));
}

int accept4(int fd, sockaddr* from, socklen_t* size, int flags) {
  server_end =
      static_cast<int>(with_errno(kernel(SYS_accept4, fd, address(from), address(size), flags)));
  return server_end;
}

}  // extern "C"

namespace {

void yield(long n) {
  auto other = weft::go([n] {
    for (long i = 0; i < n; i += 2) weft::yield();
  });
  for (long i = 0; i < n; i += 2) weft::yield();
  other.join();
}

void spawn_join(long n) {
  for (long i = 0; i < n; ++i) weft::go([] {}).join();
}

void pingpong(long n) {
  const weft::channel<long> there;
  const weft::channel<long> back;
  auto other = weft::go([&] {
    for (const long i : there) back.send(i);
  });
  for (long i = 0; i < n; ++i) {
    there.send(i);
    if (back.recv() != i) std::abort();
  }
  there.close();
  other.join();
}

void timeout(long n) {
  for (long i = 0; i < n; ++i) {
    weft::with_timeout(std::chrono::hours(1), [] { weft::check_cancelled(); });
  }
}

void echo(long n) {
  auto listener = weft::listen_tcp("127.0.0.1", 0);
  auto server = weft::go([&] {
    auto stream = listener.accept();
    char bytes[1024];
    while (const std::size_t got = stream.read(bytes, sizeof bytes)) stream.write(bytes, got);
  });
  auto stream = weft::connect_tcp("127.0.0.1", listener.port());
  char bytes[1024] = {};
  for (long i = 0; i < n; ++i) {
    stream.write(bytes, 64);
    if (stream.read(bytes, sizeof bytes) != 64) std::abort();
  }
  stream.close();
  server.join();
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)(long)> operations = {{"yield", yield},
                                                            {"spawn_join", spawn_join},
                                                            {"pingpong", pingpong},
                                                            {"timeout", timeout},
                                                            {"echo", echo}};
  const auto found = operations.find(argc == 3 ? argv[1] : "");
  if (found == operations.end()) {
    std::fputs("usage: probe yield|spawn_join|pingpong|timeout|echo <n>\n", stderr);
    return 2;
  }
  const long n = std::strtol(argv[2], nullptr, 10);
  weft::options options;
  options.workers = 1;
  weft::run(options, [&] { found->second(n); });
}
