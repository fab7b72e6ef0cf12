// Round trips of 64 bytes over TCP, client and server on one thread: what echo_bench and fd_bench
// share. Every connection always has a request under way; one iteration is a round trip of the
// first, and "requests" counts those of all.
#pragma once
#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <vector>

#include "support.hpp"

namespace bench {

// Larger than a message: then a read that does not fill it tells that there is no more.
using buffer = std::array<char, 1024>;
inline constexpr std::size_t message_bytes = 64;

inline void report(benchmark::State& state, std::int64_t requests) {
  state.counters["requests"] =
      benchmark::Counter(static_cast<double>(requests), benchmark::Counter::kIsRate);
}

// Bare epoll: every socket is registered once.
inline void floor_epoll(benchmark::State& state) {
  struct peer {
    int fd;
    bool is_client;
    std::int64_t answers = 0;
  };
  const int poll = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<peer> peers;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    const auto [client, server] = connected_pair();
    peers.push_back({client, true});
    peers.push_back({server, false});
  }
  buffer bytes{};
  for (peer& each : peers) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &each;
    checked(::epoll_ctl(poll, EPOLL_CTL_ADD, each.fd, &event), "epoll_ctl");
    if (each.is_client) benchmark::DoNotOptimize(::write(each.fd, bytes.data(), message_bytes));
  }
  std::array<epoll_event, 256> events;
  for (auto _ : state) {
    for (const std::int64_t before = peers[0].answers; peers[0].answers == before;) {
      const int n = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        peer& at = *static_cast<peer*>(events[static_cast<std::size_t>(i)].data.ptr);
        const ssize_t got = ::read(at.fd, bytes.data(), bytes.size());
        if (got > 0)
          benchmark::DoNotOptimize(::write(at.fd, bytes.data(), static_cast<size_t>(got)));
        ++at.answers;
      }
    }
  }
  std::int64_t requests = 0;
  for (const peer& each : peers) {
    if (each.is_client) requests += each.answers;
    ::close(each.fd);
  }
  ::close(poll);
  report(state, requests);
}

}  // namespace bench
