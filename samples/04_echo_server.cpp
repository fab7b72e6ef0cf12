// Sends back what each client says: one fiber a connection, each a plain loop. SIGINT or SIGTERM
// ends it.  Try it:  04_echo_server 7777 &  nc localhost 7777
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

void echo(weft::tcp_stream client) {
  char bytes[4096];
  while (const std::size_t n = client.read(bytes, sizeof bytes)) client.write(bytes, n);
}

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  weft::signal_listener stop{SIGINT, SIGTERM};
  return weft::run([&] {
    auto listener = weft::listen_tcp("127.0.0.1", port);
    std::cout << "Listening on port " << listener.port() << '.' << std::endl;

    weft::serve_options options;
    options.grace = 100ms;  // for clients that are still talking when we stop
    weft::group server;
    server.go([&] { weft::serve(listener, echo, options); });
    stop.next();
    std::cout << "Stopping." << std::endl;
    server.cancel();
    server.wait();
    return 0;
  });
}
