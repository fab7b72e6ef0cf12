// Reads one request after the other from a connection, and says what is wrong with a bad one.
// The parser is Boost.Beast's; the rules that it leaves to its user are here.
#pragma once
#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <weft/asio.hpp>
#include <weft/weft.hpp>

#include "http/message.hpp"

namespace web {

struct limits {
  std::chrono::milliseconds idle{60'000};    // between two requests
  std::chrono::milliseconds header{10'000};  // from its first byte to its last
  std::chrono::milliseconds body{30'000};
  std::chrono::milliseconds write{30'000};  // each 64 KiB of an answer
  std::uint32_t header_bytes = 8 * 1024;
  std::uint64_t body_bytes = 64 * 1024;
};

template <class Stream>
class request_reader {
 public:
  request_reader(Stream& client, const limits& allowed) noexcept
      : client_(client), limits_(allowed) {}

  // Waits for the first byte of the next request; false when the client has hung up or is too slow.
  bool wait() {
    if (buffer_.size() > 0) return true;
    try {
      weft::with_timeout(limits_.idle, [this] {
        boost::beast::error_code gone;
        buffer_.commit(client_.read_some(buffer_.prepare(first_read_bytes), gone));
      });
    } catch (const weft::timed_out&) {
      return false;
    }
    return buffer_.size() > 0;
  }

  // Reads the request. Throws: refused with the status that the client is to see.
  request read() {
    http::request_parser<http::string_body> parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(limits_.body_bytes);
    try {
      weft::with_timeout(limits_.header, [&] { read_header(parser); });
      check(parser);
      weft::with_timeout(limits_.body, [&] { read_body(parser); });
    } catch (const weft::timed_out&) {
      throw refused(status::request_timeout);
    }
    return parser.release();
  }

 private:
  using parser_type = http::request_parser<http::string_body>;
  static constexpr std::size_t first_read_bytes = 4096;
  static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

  void read_header(parser_type& parser) {
    boost::beast::error_code error;
    while (!error && !parser.is_header_done()) http::read_some(client_, buffer_, parser, error);
    if (error) throw refused(status_of(error, parser));
  }

  void read_body(parser_type& parser) {
    boost::beast::error_code error;
    if (!parser.is_done() && expects_continue(parser.get())) {
      boost::asio::write(client_, boost::asio::buffer(go_on.data(), go_on.size()), error);
    }
    if (!error && !parser.is_done()) http::read(client_, buffer_, parser, error);
    if (error) throw refused(status_of(error, parser));
  }

  // RFC 9112: sections 3.2 (exactly one Host), 6.1 (an encoding we do not know hides where the
  // request ends) and 6.3 (several lengths, even equal ones, are not worth the doubt).
  static void check(const parser_type& parser) {
    const request& asked = parser.get();
    const auto hosts = asked.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && asked.version() >= 11)) throw refused(status::bad_request);

    const auto length = asked[http::field::content_length];
    if (asked.count(http::field::content_length) > 1 ||
        length.find_first_not_of("0123456789") != length.npos) {
      throw refused(status::bad_request);
    }

    if (const auto encodings = asked.count(http::field::transfer_encoding); encodings > 0) {
      if (asked.version() < 11) throw refused(status::bad_request);
      if (encodings > 1 ||
          !boost::beast::iequals(asked[http::field::transfer_encoding], "chunked")) {
        throw refused(status::not_implemented);
      }
    }
  }

  static bool expects_continue(const request& asked) {
    return boost::beast::iequals(asked[http::field::expect], "100-continue");
  }

  status status_of(boost::beast::error_code error, const parser_type& parser) const {
    if (error == http::error::body_limit) return status::payload_too_large;
    if (error == http::error::header_limit) {
      const bool in_request_line = parser.get().target().empty();
      return in_request_line ? status::uri_too_long : status::request_header_fields_too_large;
    }
    if (error == http::error::bad_version && asks_for_other_version()) {
      return status::http_version_not_supported;
    }
    return status::bad_request;
  }

  // Whether the request line, which is still in the buffer, ends as one of HTTP/2.0 would.
  bool asks_for_other_version() const {
    const auto bytes = buffer_.data();
    const boost::beast::string_view text(static_cast<const char*>(bytes.data()), bytes.size());
    const auto line = text.substr(0, text.find("\r\n"));
    const auto at = line.rfind(" HTTP/");
    const bool has_three_words = std::count(line.begin(), line.end(), ' ') == 2;
    if (!has_three_words || at == line.npos || line.size() != at + 9) return false;
    const auto digit = [&](std::size_t i) { return line[at + i] >= '0' && line[at + i] <= '9'; };
    return digit(6) && line[at + 7] == '.' && digit(8);
  }

  Stream& client_;
  boost::beast::flat_buffer buffer_;
  const limits& limits_;
};

}  // namespace web
