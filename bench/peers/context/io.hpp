// Workloads on descriptors: file_read, pread by plain calls; wake between two threads by eventfd;
// echo and http by epoll, with a context for each connection.
#pragma once
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../common/servers.hpp"
#include "context.hpp"

namespace floors {

inline constexpr std::size_t block_bytes = 4096;

template <class F>
int measure_reads(const peer::report& print, long n, const F& read) {
  char buffer[block_bytes];
  bool short_read = false;
  const double cpu = peer::cpu_seconds();
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) short_read |= read(i, buffer) != block_bytes;
  print("us_per_op", watch.ns_each(n) / 1e3, "us");
  print("cpu_per_100k", (peer::cpu_seconds() - cpu) * 1e5 / static_cast<double>(n), "s");
  return short_read ? peer::fail("short read") : peer::ok;
}

inline int file_read(const peer::arguments& given, const peer::report& print) {
  const std::string path = given.text("f");
  return measure_reads(print, given.number("n", 10'000), [&](long, char* buffer) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t n = ::read(fd, buffer, block_bytes);
    ::close(fd);
    return n;
  });
}

inline int pread(const peer::arguments& given, const peer::report& print) {
  const int fd = peer::checked(::open(given.text("f").c_str(), O_RDONLY | O_CLOEXEC), "open");
  return measure_reads(print, given.number("n", 100'000), [&](long i, char* buffer) {
    const auto block = peer::mix(static_cast<std::uint64_t>(i)) % 65536;
    return ::pread(fd, buffer, block_bytes, static_cast<off_t>(block * block_bytes));
  });
}

// Two threads that block: what the kernel needs for it.
inline int wake(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100'000);
  const int there = peer::checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
  const int back = peer::checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
  const peer::stopwatch watch;
  std::thread other([&] {
    eventfd_t got;
    for (long i = 0; i < n; ++i) ::eventfd_read(there, &got), ::eventfd_write(back, 1);
  });
  eventfd_t got;
  for (long i = 0; i < n; ++i) ::eventfd_write(there, 1), ::eventfd_read(back, &got);
  other.join();
  print("us_per_roundtrip", watch.ns_each(n) / 1e3, "us");
  return peer::ok;
}

// One thread's share of the connections.
class epoll_server {
 public:
  epoll_server(long port, bool http)
      : listener_(peer::listen_on(port)),
        poll_(peer::checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        http_(http) {
    watch(listener_, nullptr, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int n = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        auto* one = static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        one == nullptr ? accept_all() : enter(one);
      }
    }
  }

 private:
  struct connection {
    int fd;
    bool http;
    char* stack;
    bare::fcontext_t at;      // where it waits
    bare::fcontext_t poller;  // whom it leaves to
    bool over;

    void wait() { poller = bare::jump_fcontext(poller, nullptr).fctx; }
  };

  void watch(int fd, connection* one, unsigned events) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = one;
    peer::checked(::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }

  void accept_all() {
    for (int fd;
         (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      peer::set_nodelay(fd);
      auto* one = new connection{fd, http_, nullptr, nullptr, nullptr, false};
      if (spare_.empty()) spare_.push_back(new char[bare::stack_bytes] + bare::stack_bytes);
      one->stack = spare_.back();
      spare_.pop_back();
      one->at = bare::make_fcontext(one->stack, bare::stack_bytes, &main);
      watch(fd, one, EPOLLIN | EPOLLET);
      enter(one);
    }
  }

  void enter(connection* one) {
    one->at = bare::jump_fcontext(one->at, one).fctx;
    if (!one->over) return;
    ::close(one->fd);
    spare_.push_back(one->stack);
    delete one;
  }

  static void main(bare::transfer_t from) {
    auto& self = *static_cast<connection*>(from.data);
    self.poller = from.fctx;
    char bytes[block_bytes];
    std::size_t held = 0;
    for (;;) {
      const ssize_t n = ::recv(self.fd, bytes + held, sizeof bytes - held, 0);
      if (n < 0 && errno == EAGAIN) {
        self.wait();
        continue;
      }
      if (n <= 0) break;
      held += static_cast<std::size_t>(n);
      if (!self.http) {
        ::send(self.fd, bytes, held, MSG_NOSIGNAL);
        held = 0;
      } else if (peer::ends_request(bytes, held)) {
        ::send(self.fd, peer::http_answer.data(), peer::http_answer.size(), MSG_NOSIGNAL);
        held = 0;
      }
    }
    self.over = true;
    self.wait();
  }

  int listener_;
  int poll_;
  bool http_;
  std::vector<char*> spare_;
};

inline int echo(const peer::arguments& given, const peer::report&) {
  return peer::serve_on_threads(given, [](long port) { epoll_server(port, false).run(); });
}

inline int http(const peer::arguments& given, const peer::report&) {
  return peer::serve_on_threads(given, [](long port) { epoll_server(port, true).run(); });
}

}  // namespace floors
