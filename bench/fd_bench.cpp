// Round trips by descriptors that the program owns, as C libraries do it: wait_readable(), then a
// read of their own. Beside it weft's read() and write() for any descriptor, its streams, and bare
// epoll as the floor.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <utility>
#include <vector>
#include <weft/weft.hpp>

#include "round_trips.hpp"

namespace {

using bench::buffer;
using bench::message_bytes;

// What a C library does with its non-blocking socket.
struct by_waiting {
  std::size_t read(buffer& into) const {
    weft::wait_readable(fd);
    return static_cast<std::size_t>(::read(fd, into.data(), into.size()));
  }
  void write(const char* from, std::size_t n) const {
    benchmark::DoNotOptimize(::write(fd, from, n));
  }
  int fd;
};

// The same by the library's calls for any descriptor.
struct by_calls {
  std::size_t read(buffer& into) const { return weft::read(fd, into); }
  void write(const char* from, std::size_t n) const { weft::write(fd, from, n); }
  int fd;
};

// Both ends of each connection are fibers of one worker.
template <class End>
void round_trips(benchmark::State& state, std::vector<End> clients, std::vector<End> servers) {
  std::int64_t requests = 0;
  const auto ask = [&](End& on) {
    buffer bytes{};
    on.write(bytes.data(), message_bytes);
    for (std::size_t got = 0; got < message_bytes;) got += on.read(bytes);
    ++requests;
  };
  weft::group others;
  for (End& each : servers) {
    others.go([&each] {
      buffer bytes;
      for (;;) each.write(bytes.data(), each.read(bytes));
    });
  }
  for (std::size_t i = 1; i < clients.size(); ++i) {
    others.go([&ask, &client = clients[i]] {
      for (;;) ask(client);
    });
  }
  for (auto _ : state) ask(clients[0]);
  bench::report(state, requests);
  others.cancel();
  others.wait();
}

template <class End>
void fd_weft(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    std::vector<End> clients;
    std::vector<End> servers;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      const auto [client, server] = bench::connected_pair();
      clients.push_back(End{client});
      servers.push_back(End{server});
    }
    round_trips(state, clients, servers);
    for (const auto* ends : {&clients, &servers}) {
      for (const End& each : *ends) ::close(each.fd);
    }
  });
}

void fd_weft_stream(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    std::vector<weft::tcp_stream> clients;
    std::vector<weft::tcp_stream> servers;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      clients.push_back(weft::connect_tcp("127.0.0.1", listener.port()));
      servers.push_back(listener.accept());
    }
    round_trips(state, std::move(clients), std::move(servers));
  });
}

void fd_floor_epoll(benchmark::State& state) { bench::floor_epoll(state); }

BENCHMARK(fd_floor_epoll)->Arg(1)->Arg(100);
BENCHMARK(fd_weft_stream)->Arg(1)->Arg(100);
BENCHMARK(fd_weft<by_calls>)->Arg(1)->Arg(100);
BENCHMARK(fd_weft<by_waiting>)->Arg(1)->Arg(100);

}  // namespace

BENCHMARK_MAIN();
