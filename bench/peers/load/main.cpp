// The load for echo: so many connections, each of which always has one message under way.
//   load port=... conns=50 secs=2 bytes=64
// Prints the requests that were answered, and how long answers took, as in ../README.md.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <vector>

#include "../common/program.hpp"
#include "../common/sockets.hpp"

namespace {

struct connection {
  int fd;
  std::size_t got = 0;
  peer::stopwatch asked{};
};

int connect_to(long port) {
  const int fd = peer::checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_in at = peer::loopback(port);
  peer::checked(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at), "connect");
  peer::set_nodelay(fd);
  return fd;
}

void ask(connection& one, const std::vector<char>& message) {
  one.got = 0;
  one.asked = peer::stopwatch();
  const ssize_t sent = ::send(one.fd, message.data(), message.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(message.size())) throw std::runtime_error("cannot send");
}

int run(const peer::arguments& given) {
  const std::vector<char> message(static_cast<std::size_t>(given.number("bytes", 64)), 'x');
  std::vector<char> answer(message.size());
  const int poll = peer::checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<connection> all;
  for (long i = 0; i < given.number("conns", 50); ++i)
    all.push_back({connect_to(given.number("port", 0))});
  for (connection& each : all) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &each;
    peer::checked(::epoll_ctl(poll, EPOLL_CTL_ADD, each.fd, &event), "epoll_ctl");
  }
  std::vector<std::int64_t> took;
  const double milliseconds = 1e3 * static_cast<double>(given.number("secs", 2));
  const peer::stopwatch watch;
  for (connection& each : all) ask(each, message);
  std::array<epoll_event, 256> events{};
  while (watch.milliseconds() < milliseconds) {
    const int n = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < n; ++i) {
      auto& one = *static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      const ssize_t got = ::recv(one.fd, answer.data(), answer.size(), 0);
      if (got <= 0) return peer::fail("the server closed a connection");
      one.got += static_cast<std::size_t>(got);
      if (one.got < message.size()) continue;
      took.push_back(one.asked.nanoseconds());
      ask(one, message);
    }
  }
  const double seconds = watch.milliseconds() / 1e3;
  if (took.empty()) return peer::fail("no answer");
  const peer::report print("load");
  print("requests", static_cast<double>(took.size()), "1");
  print("rps", static_cast<double>(took.size()) / seconds, "1/s");
  std::sort(took.begin(), took.end());
  print("p50", static_cast<double>(took[took.size() / 2]) / 1e3, "us");
  print("p99", static_cast<double>(took[took.size() * 99 / 100]) / 1e3, "us");
  return peer::ok;
}

}  // namespace

int main(int argc, char** argv) try {
  // The protocol has a workload first; here there is only one.
  std::vector<char*> words(argv, argv + argc);
  static char workload[] = "load";
  words.insert(words.begin() + 1, workload);
  return run(peer::arguments(static_cast<int>(words.size()), words.data()));
} catch (const std::exception& error) {
  return peer::fail(error.what());
}
