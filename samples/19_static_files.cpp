// Serves the files of a folder, whole or in parts, and never one beside it.
//
//   19_static_files FOLDER [PORT] [SECONDS a client may take for the header of a request]
//
// SIGINT or SIGTERM ends it after the requests that have begun.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <weft/weft.hpp>

#include "http/file_reply.hpp"
#include "http/server.hpp"

namespace {

web::response send_file(const web::folder& root, const web::request& asked) {
  const std::string path(web::path_of(asked.target()));
  std::string name = web::file_name_of(path);
  web::opened_file found = root.open(name);
  if (found.is_directory()) {
    if (path.back() != '/') {  // or the links in its page would lead elsewhere
      web::response made = web::error_reply(web::status::moved_permanently);
      made.set(web::http::field::location, path + "/");
      return made;
    }
    found = root.open(name += "/index.html");
  }
  return web::file_reply(asked, std::move(found), name);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) throw std::invalid_argument("usage: 19_static_files FOLDER [PORT] [SECONDS]");
  const auto port = static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8080);
  weft::signal_listener stop{SIGINT, SIGTERM};
  web::limits limits;
  if (argc > 3) limits.header = std::chrono::seconds(std::atoi(argv[3]));

  weft::run([&] {
    const web::folder root(argv[1]);
    web::site pages;
    pages.otherwise([&](const web::request& asked) { return send_file(root, asked); });
    web::serve_until(stop, port, pages, limits);
  });
} catch (const std::exception& error) {
  std::cerr << "19_static_files: " << error.what() << '\n';
  return 1;
}
