// Workload loopback: echo with its clients in the same runtime, for counts=1.
#pragma once
#include <weft/go.hpp>
#include <weft/tcp.hpp>

#include "../common/program.hpp"
#include "parallel.hpp"
#include "servers.hpp"

namespace workloads {

inline int loopback(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100'000);
  const long connections = given.number("conns", 50);
  auto listener = weft::listen_tcp("127.0.0.1", 0);
  weft::serve_options options;
  options.grace = std::chrono::seconds(0);
  auto server = weft::go([&] { weft::serve(listener, &echo_client, options); });
  const peer::stopwatch watch;
  parallel(connections, [&](long k) {
    auto stream = weft::connect_tcp("127.0.0.1", listener.port());
    char bytes[256] = {};
    for (long i = k; i < n; i += connections) {
      stream.write(bytes, 64);
      for (std::size_t got = 0; got < 64;) got += stream.read(bytes, sizeof bytes);
    }
  });
  print("us_per_request", watch.ns_each(n) / 1e3, "us");
  server.cancel();
  server.wait();
  return peer::ok;
}

}  // namespace workloads
