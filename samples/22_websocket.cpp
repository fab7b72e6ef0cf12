// WebSockets with Boost.Beast: a server that sends back what it is told, in capitals, and three
// clients that talk to it at once. Beast's blocking calls park the fiber alone.
#include <algorithm>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <cctype>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>
#include <weft/asio.hpp>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using web_socket = websocket::stream<weft::asio_stream<weft::tcp_stream>>;

void shout(weft::tcp_stream connection) {
  web_socket client(std::move(connection));
  client.accept();
  beast::error_code error;
  for (;;) {
    beast::flat_buffer message;
    client.read(message, error);
    if (error) break;  // websocket::error::closed, if the client said good-bye
    std::string text = beast::buffers_to_string(message.data());
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    client.write(boost::asio::buffer(text));
  }
}

// Says the words one by one and returns what came back.
std::string talk(std::uint16_t port, const std::vector<std::string>& words) {
  web_socket server(weft::connect_tcp("127.0.0.1", port));
  server.handshake("localhost", "/");
  std::string heard;
  for (const std::string& word : words) {
    server.write(boost::asio::buffer(word));
    beast::flat_buffer answer;
    server.read(answer);
    heard += (heard.empty() ? "" : " ") + beast::buffers_to_string(answer.data());
  }
  server.close(websocket::close_code::normal);  // returns when the server has closed, too
  return heard;
}

int main() {
  weft::run([] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::group server;
    server.go([&] { weft::serve(listener, shout); });

    const std::vector<std::vector<std::string>> talks = {
        {"hello", "world"}, {"fibers", "wait", "threads", "do", "not"}, {"good-bye"}};
    for (const std::string& heard :
         weft::map(talks, [&](const auto& words) { return talk(listener.port(), words); })) {
      std::cout << heard << '\n';
    }

    // Whoever only listens is told nothing; a deadline ends the wait, and then the connection.
    web_socket silent(weft::connect_tcp("127.0.0.1", listener.port()));
    silent.handshake("localhost", "/");
    try {
      beast::flat_buffer nothing;
      weft::with_timeout(20ms, [&] { silent.read(nothing); });
    } catch (const weft::timed_out&) {
      std::cout << "nothing in time\n";
      silent.next_layer().close();
    }
    server.cancel();
    server.wait();
  });
}
