// What the tests of sockets and descriptors share.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace weft_test {

// Both ends of a pipe or a socket pair, as the program would own them.
class descriptors {
 public:
  static descriptors pipe() {
    descriptors made;
    if (::pipe2(made.fd_, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
    return made;
  }
  static descriptors socket_pair(int type = SOCK_STREAM) {
    descriptors made;
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, made.fd_) != 0)
      throw std::system_error(errno, std::generic_category());
    return made;
  }
  descriptors(descriptors&& other) noexcept
      : fd_{std::exchange(other.fd_[0], -1), std::exchange(other.fd_[1], -1)} {}
  ~descriptors() {
    close(0);
    close(1);
  }

  int operator[](int which) const noexcept { return fd_[which]; }
  int release(int which) noexcept { return std::exchange(fd_[which], -1); }
  void close(int which) noexcept {
    if (fd_[which] >= 0) ::close(release(which));
  }

 private:
  descriptors() = default;
  int fd_[2] = {-1, -1};
};

// How f ended: "done", "cancelled", or the text of its exception.
template <class F>
std::string outcome(F&& f) {
  try {
    f();
    return "done";
  } catch (const weft::cancelled&) {
    return "cancelled";
  } catch (const std::exception& error) {
    return error.what();
  }
}

// The same of a fiber whose function returns an outcome, and which may not even have begun.
inline std::string outcome(weft::fiber<std::string>& of) {
  try {
    return of.join();
  } catch (const weft::fiber_cancelled&) {
    return "cancelled";
  }
}

// The std::errc-like code that f ends with; 0 if it does not fail.
template <class F>
std::error_condition failure_of(F&& f) {
  try {
    f();
    return {};
  } catch (const weft::io_error& error) {
    return error.code().default_error_condition();
  }
}

// Bytes of which each position has its own value, so that a lost or doubled one shows.
inline char byte_at(std::size_t position) noexcept {
  return static_cast<char>((position * 2654435761u) >> 13);
}
inline std::string pattern(std::size_t from, std::size_t n) {
  std::string bytes(n, '\0');
  for (std::size_t i = 0; i < n; ++i) bytes[i] = byte_at(from + i);
  return bytes;
}
inline bool is_pattern(const char* bytes, std::size_t from, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i)
    if (bytes[i] != byte_at(from + i)) return false;
  return true;
}

struct connection_pair {
  weft::tcp_stream client;
  weft::tcp_stream server;
};

inline connection_pair tcp_pair() {
  auto listener = weft::listen_tcp("127.0.0.1", 0);
  auto client = weft::connect_tcp("127.0.0.1", listener.port());
  return {std::move(client), listener.accept()};
}

}  // namespace weft_test
