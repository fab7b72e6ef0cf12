// Shared by the benchmarks.
#pragma once
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <weft/runtime.hpp>

namespace bench {

constexpr std::int64_t many = 1000;

// Runs body as the first fiber of a runtime with so many workers.
template <class F>
void in_fibers(unsigned workers, const F& body) {
  weft::options options;
  options.workers = workers;
  weft::run(options, body);
}

// Work whose result is inexact, so that it sets a flag in the floating-point status word.
inline double inexact(double x) {
  x = x / 3 + 1;
  benchmark::DoNotOptimize(x);
  return x;
}

inline int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// Both ends of a TCP connection on 127.0.0.1, non-blocking.
inline std::pair<int, int> connected_pair() {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  const int one = 1;
  const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  checked(::bind(listener, address, length), "bind");
  checked(::listen(listener, 1), "listen");
  checked(::getsockname(listener, address, &length), "getsockname");
  const int client =
      checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  if (::connect(client, address, length) < 0 && errno != EINPROGRESS) checked(-1, "connect");
  const int server =
      checked(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), "accept");
  ::close(listener);
  for (const int end : {client, server}) {
    checked(::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
  }
  return {client, server};
}

}  // namespace bench
