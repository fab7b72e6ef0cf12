// UDP: a server that answers pings, and loses every third; a client that has all of them under way
// at once, tries again when no answer comes, and gives up after three times.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

// Never returns: it is cancelled in the end.
void answer(weft::udp_socket& server) {
  char bytes[64];
  for (;;) {
    auto [n, from] = server.recv_from(bytes);
    const int number = std::stoi(std::string(bytes, n));
    if (number % 3 != 0) server.send_to("pong " + std::to_string(number), from);
  }
}

std::string ping(int number, const weft::address& server) {
  weft::udp_socket socket("127.0.0.1", 0);  // a port of its own, so answers cannot be mixed up
  socket.connect(server);                   // from now on only the server is heard
  for (int attempt = 0; attempt < 3; ++attempt) {
    socket.send(std::to_string(number));
    try {
      char bytes[64];
      const std::size_t n = weft::with_timeout(200ms, [&] { return socket.recv(bytes); });
      return std::string(bytes, n);
    } catch (const weft::timed_out&) {
    }
  }
  return "lost, three times";
}

int main() {
  weft::run([] {
    weft::udp_socket server("127.0.0.1", 0);
    weft::group background;
    background.go([&] { answer(server); });

    const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7};
    const auto answers =
        weft::map(numbers, [&](int number) { return ping(number, server.local_address()); });
    for (std::size_t i = 0; i < numbers.size(); ++i)
      std::cout << "ping " << numbers[i] << ": " << answers[i] << '\n';

    // A port where nobody listens says so.
    weft::udp_socket client("127.0.0.1", 0);
    const weft::address gone = weft::udp_socket("127.0.0.1", 0).local_address();
    client.connect(gone);
    client.send("hello?");
    try {
      char byte[1];
      client.recv(byte);
    } catch (const weft::io_error& error) {
      std::cout << error.code().message() << '\n';
    }
  });
}
