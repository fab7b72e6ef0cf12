// Round trips by weft's streams, with serve() at the other end. Floors: callbacks of libuv, and
// bare epoll.
#include <benchmark/benchmark.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <vector>
#include <weft/go.hpp>
#include <weft/tcp.hpp>

#include "round_trips.hpp"

namespace {

using bench::buffer;
using bench::message_bytes;
using bench::report;

void echo_floor_epoll(benchmark::State& state) { bench::floor_epoll(state); }

// One end of a connection: sends back what it gets, without a buffer of its own.
struct uv_peer {
  uv_tcp_t tcp;
  buffer bytes{};
  std::int64_t answers = 0;

  void open(uv_loop_t& loop, int fd) {
    uv_tcp_init(&loop, &tcp);
    uv_tcp_open(&tcp, fd);
    tcp.data = this;
    uv_read_start(
        stream(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* into) {
          auto& self = *static_cast<uv_peer*>(handle->data);
          *into = uv_buf_init(self.bytes.data(), static_cast<unsigned>(self.bytes.size()));
        },
        [](uv_stream_t* handle, ssize_t n, const uv_buf_t*) {
          auto& self = *static_cast<uv_peer*>(handle->data);
          if (n <= 0) return;
          ++self.answers;
          self.send(static_cast<unsigned>(n));
        });
  }

  void send(unsigned n) {
    const uv_buf_t from = uv_buf_init(bytes.data(), n);
    uv_try_write(stream(), &from, 1);
  }

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
};

void echo_floor_libuv(benchmark::State& state) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_peer> clients(static_cast<std::size_t>(state.range(0)));
  std::vector<uv_peer> servers(clients.size());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const auto [client, server] = bench::connected_pair();
    clients[i].open(loop, client);
    servers[i].open(loop, server);
    clients[i].send(message_bytes);
  }
  for (auto _ : state) {
    for (const std::int64_t before = clients[0].answers; clients[0].answers == before;) {
      uv_run(&loop, UV_RUN_ONCE);
    }
  }
  std::int64_t requests = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    requests += clients[i].answers;
    uv_close(reinterpret_cast<uv_handle_t*>(&clients[i].tcp), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&servers[i].tcp), nullptr);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  report(state, requests);
}

void echo(weft::tcp_stream client) {
  buffer bytes;
  while (const std::size_t n = client.read(bytes)) client.write(bytes.data(), n);
}

void echo_weft(benchmark::State& state) {
  bench::in_fibers(1, [&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::serve_options options;
    options.grace = std::chrono::seconds(0);
    auto server = weft::go([&] { weft::serve(listener, echo, options); });

    std::int64_t requests = 0;
    const auto connect = [port = listener.port()] { return weft::connect_tcp("127.0.0.1", port); };
    const auto ask = [&](weft::tcp_stream& stream) {
      buffer bytes{};
      stream.write(bytes.data(), message_bytes);
      for (std::size_t got = 0; got < message_bytes;) got += stream.read(bytes);
      ++requests;
    };
    std::vector<weft::fiber<void>> others;
    for (std::int64_t i = 1; i < state.range(0); ++i) {
      others.push_back(weft::go([&] {
        for (auto stream = connect();;) ask(stream);
      }));
    }
    {
      auto stream = connect();
      ask(stream);
      requests = 0;
      for (auto _ : state) ask(stream);
      report(state, requests);
    }
    for (auto& each : others) each.cancel();
    for (auto& each : others) each.wait();
    server.cancel();
    server.wait();
  });
}

void cases(benchmark::internal::Benchmark* of) { of->ArgName("connections")->Arg(1)->Arg(50); }

BENCHMARK(echo_floor_epoll)->Apply(cases);
BENCHMARK(echo_floor_libuv)->Apply(cases);
BENCHMARK(echo_weft)->Apply(cases);

}  // namespace

BENCHMARK_MAIN();
