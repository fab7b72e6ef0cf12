// What handlers see: Boost.Beast's messages, and short ways to make them.
#pragma once
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "http/content.hpp"

namespace web {

namespace http = boost::beast::http;
using http::status;
using request = http::request<http::string_body>;
using response = http::response<content>;

// Thrown by whatever finds that a request cannot be served.
class refused : public std::runtime_error {
 public:
  explicit refused(status why) : std::runtime_error(http::obsolete_reason(why)), why_(why) {}
  status why() const noexcept { return why_; }

 private:
  status why_;
};

inline response reply(std::string body, const char* type = "text/plain; charset=utf-8") {
  response made(status::ok, 11);
  made.set(http::field::content_type, type);
  made.body().text = std::move(body);
  return made;
}

inline response error_reply(status why) {
  response made = reply(std::string(http::obsolete_reason(why)) + "\n");
  made.result(why);
  return made;
}

}  // namespace web
