// Fetches several pages at once, with Boost.Beast and without a callback. The server is in here,
// too: each page takes a while.
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>
#include <weft/asio.hpp>
#include <weft/weft.hpp>

#include "http/server.hpp"

using namespace std::chrono_literals;
namespace http = boost::beast::http;

std::string fetch(const std::string& host, std::uint16_t port, const std::string& path) {
  weft::asio_stream server(weft::connect_tcp(host, port));
  http::request<http::empty_body> request(http::verb::get, path, 11);
  request.set(http::field::host, host);
  http::write(server, request);

  boost::beast::flat_buffer buffer;
  http::response<http::string_body> answer;
  http::read(server, buffer, answer);
  if (answer.result() != http::status::ok) throw std::runtime_error(path + ": no such page");
  return answer.body();
}

struct page {
  std::string path;
  std::size_t bytes;
  std::chrono::steady_clock::duration took;
};

page timed_fetch(std::uint16_t port, const std::string& path) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string body = weft::with_timeout(30s, [&] { return fetch("127.0.0.1", port, path); });
  return {path, body.size(), std::chrono::steady_clock::now() - begin};
}

int main() {
  weft::run([] {
    const std::vector<std::string> paths = {"/one", "/two", "/three", "/four", "/five"};
    web::site pages;
    for (const std::string& path : paths) {
      pages.get(path, [](const web::request& asked) {
        weft::sleep(100ms);
        return web::reply(std::string(1000 * asked.target().size(), 'x'));
      });
    }
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::group server;
    server.go([&] { web::serve(listener, pages); });

    const auto begin = std::chrono::steady_clock::now();
    const auto fetched = weft::map(
        paths, [&](const std::string& path) { return timed_fetch(listener.port(), path); });
    const auto took = std::chrono::steady_clock::now() - begin;

    auto one_after_another = 0ns;
    for (const page& each : fetched) {
      std::cout << each.path << ": " << each.bytes << " bytes\n";
      one_after_another += each.took;
    }
    std::cout << "All at once took " << (took < one_after_another / 2 ? "less" : "more")
              << " than half of the time of one after another.\n";
    try {
      fetch("127.0.0.1", listener.port(), "/six");
    } catch (const std::exception& error) {
      std::cout << error.what() << '\n';
    }
    server.cancel();
    server.wait();
  });
}
