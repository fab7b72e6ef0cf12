// Starts a web server whose answers take a second each, asks it a thousand things at once, and
// tells how long that took and what else was alive meanwhile. Exits with 0 if all were answered in
// time.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <weft/weft.hpp>

#include "http/server.hpp"

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr int requests = 1000;
constexpr double most_seconds = 1.5;
constexpr auto this_program = "/proc/self/exe";

web::response hello(const web::request&) {
  weft::sleep(1s);
  return web::reply("Hello, World!");
}

web::response send_this_program(const web::request&) {
  return web::reply(weft::read_file(this_program), "application/octet-stream");
}

// The body of the answer.
std::string get(std::uint16_t port, const std::string& path) {
  auto server = weft::connect_tcp("127.0.0.1", port);
  server.write("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string answer = weft::read_all(server);
  if (answer.rfind("HTTP/1.1 200 OK\r\n", 0) != 0) {
    throw std::runtime_error(path + ": " + answer.substr(0, answer.find('\r')));
  }
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

// Each connection has two ends here, and each end is a descriptor.
void allow_many_descriptors() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2 * requests + 100) {
    throw std::runtime_error("needs 2,100 open files; see ulimit -Hn");
  }
}

struct sights {
  std::uint64_t most_fibers = 0;
  int ticks = 0;
};

void look_around(sights& seen) {
  for (weft::ticker every(100ms);;) {
    every.next();
    seen.most_fibers = std::max(seen.most_fibers, weft::runtime::current()->stats().fibers_live);
    ++seen.ticks;
  }
}

int demo() {
  web::site pages;
  pages.get("/hello", hello);
  pages.get("/file", send_this_program);
  auto listener = weft::listen_tcp("127.0.0.1", 0);
  const std::uint16_t port = listener.port();

  sights seen;
  weft::group background;
  background.go([&] { web::serve(listener, pages); });
  background.go([&] { look_around(seen); });

  const auto begin = steady_clock::now();
  std::atomic<int> answered{0};
  weft::group clients;
  for (int i = 0; i < requests; ++i) {
    clients.go([&] {
      if (get(port, "/hello") == "Hello, World!") ++answered;
    });
  }
  auto file = clients.go([&] { return get(port, "/file").size(); });
  clients.wait();
  const std::chrono::duration<double> took = steady_clock::now() - begin;

  background.cancel();
  background.wait();

  std::printf("%d of %d requests, each of which sleeps for a second, were answered in %.2f s.\n",
              answered.load(), requests, took.count());
  std::printf("Meanwhile, on %u threads: up to %llu fibers alive, a clock that ticked %d times,\n",
              weft::runtime::current()->stats().workers,
              static_cast<unsigned long long>(seen.most_fibers), seen.ticks);
  std::printf("and %s, %zu bytes, read from disk and sent by the same server.\n", this_program,
              file.join());
  if (answered == requests && took.count() < most_seconds) return 0;
  std::printf("That is not good enough: all of them should take less than %.1f s.\n", most_seconds);
  return 1;
}

}  // namespace

int main() try {
  allow_many_descriptors();
  return weft::run(demo);
} catch (const std::exception& error) {
  std::cerr << "demo: " << error.what() << '\n';
  return 1;
}
