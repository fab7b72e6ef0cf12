// A web server. Handlers are plain functions that may wait: the thread goes on with other clients.
//
//   05_web_server [--port N] [--workers N] [--file PATH] [--timeout SECONDS]
//
// SIGINT or SIGTERM ends it after the requests that have begun.
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <weft/weft.hpp>

#include "http/server.hpp"

using namespace std::chrono_literals;

namespace {

web::response home(const web::request&) {
  return web::reply(
      "GET /hello  takes a second to think\n"
      "GET /file   sends a file\n");
}

web::response hello(const web::request&) {
  weft::sleep(1s);
  return web::reply("Hello, World!");
}

web::response send_file(const std::string& path) {
  try {
    return web::reply(weft::read_file(path), "application/octet-stream");
  } catch (const weft::io_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory)
      throw web::refused(web::status::not_found);
    throw;
  }
}

struct settings {
  unsigned port = 8080;
  unsigned workers = 0;
  unsigned timeout = 10;  // seconds a client may take for a request's header
  std::string file = "README.md";
};

[[noreturn]] void explain() {
  std::cerr << "usage: 05_web_server [--port N] [--workers N] [--file PATH] [--timeout SECONDS]\n";
  std::exit(2);
}

unsigned number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, value);
      error != std::errc() || at != end || value > most) {
    explain();
  }
  return value;
}

settings parse(int argc, char** argv) {
  settings given;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) explain();
    if (name == "--port") {
      given.port = number(argv[i + 1], 65535);
    } else if (name == "--workers") {
      given.workers = number(argv[i + 1], 1024);
    } else if (name == "--timeout") {
      given.timeout = number(argv[i + 1], 3600);
    } else if (name == "--file") {
      given.file = argv[i + 1];
    } else {
      explain();
    }
  }
  return given;
}

}  // namespace

int main(int argc, char** argv) try {
  const settings given = parse(argc, argv);
  weft::signal_listener stop{SIGINT, SIGTERM};
  weft::options options;
  options.workers = given.workers;

  weft::run(options, [&] {
    web::site pages;
    pages.get("/", home);
    pages.get("/hello", hello);
    pages.get("/file", [&](const web::request&) { return send_file(given.file); });

    web::limits limits;
    limits.header = std::chrono::seconds(given.timeout);

    web::serve_until(stop, static_cast<std::uint16_t>(given.port), pages, limits);
  });
} catch (const std::exception& error) {
  std::cerr << "05_web_server: " << error.what() << '\n';
  return 1;
}
