// libFuzzer: feeds bytes to what the web servers of samples/ read requests with, in pieces as a
// network might deliver them, and to what they make of paths, ranges and dates.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <weft/asio.hpp>
#include <weft/weft.hpp>

#include "http/date.hpp"
#include "http/path.hpp"
#include "http/range.hpp"
#include "http/reader.hpp"

namespace {

// Delivers the bytes in pieces whose sizes the bytes themselves decide on.
class byte_stream {
 public:
  explicit byte_stream(std::string_view bytes) : left_(bytes) {}

  std::size_t read(void* to, std::size_t n) {
    if (left_.empty()) return 0;
    const auto piece = static_cast<std::size_t>(static_cast<unsigned char>(left_.back())) + 1;
    n = left_.copy(static_cast<char*>(to), std::min(n, piece));
    left_.remove_prefix(n);
    return n;
  }
  void write(const void*, std::size_t) {}
  void close() {}

 private:
  std::string_view left_;
};

void require(bool holds) {
  if (!holds) std::abort();
}

void check_path(boost::beast::string_view target) {
  try {
    const std::string name = web::file_name_of(web::path_of(target));
    require(!name.empty() && name.front() != '/' && name.find('\0') == name.npos);
    require(("/" + name + "/").find("/../") == std::string::npos);
  } catch (const web::refused&) {
  }
}

void check_range(std::string_view text) {
  for (const std::uint64_t size : {0ull, 1ull, 10ull, ~0ull}) {
    const web::range part = web::parse_range(text, size);
    if (part.what == web::range::kind::part) {
      require(part.count > 0 && part.first < size && part.count <= size - part.first);
    }
  }
}

void check_date(std::string text) {
  if (const auto when = web::parse_http_date(text)) {
    require(web::parse_http_date(web::http_date(*when)) == when);
  }
}

void check_requests(std::string_view bytes) {
  weft::asio_stream stream{byte_stream(bytes)};
  web::limits limits;
  limits.header_bytes = 1024;
  limits.body_bytes = 1024;
  web::request_reader reader(stream, limits);
  try {
    while (reader.wait()) {
      const web::request asked = reader.read();
      require(asked.body().size() <= limits.body_bytes);
      check_path(asked.target());
      const auto range = asked[web::http::field::range];
      check_range({range.data(), range.size()});
      check_date(std::string(asked[web::http::field::if_modified_since]));
    }
  } catch (const web::refused& no) {
    require(static_cast<unsigned>(no.why()) >= 400);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_path({bytes.data(), bytes.size()});
  check_range(bytes);
  check_date(std::string(bytes));
  weft::options options;
  options.workers = 1;
  weft::run(options, [&] { check_requests(bytes); });
  return 0;
}
