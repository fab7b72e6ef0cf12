// Which function answers which path.
#pragma once
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "http/message.hpp"

namespace web {

class site {
 public:
  using handler = std::function<response(const request&)>;

  // Answers GET, and HEAD with it.
  void get(std::string path, handler answer) { handlers_[std::move(path)] = std::move(answer); }

  // A handler's own failure is the server's, not the client's: 500.
  response answer(const request& asked) const {
    const auto found = handlers_.find(path_of(asked.target()));
    if (found == handlers_.end()) return error_reply(status::not_found);
    if (asked.method() != http::verb::get && asked.method() != http::verb::head) {
      response made = error_reply(status::method_not_allowed);
      made.set(http::field::allow, "GET, HEAD");
      return made;
    }
    try {
      return found->second(asked);
    } catch (const refused& no) {
      return error_reply(no.why());
    } catch (const std::exception& error) {
      std::cerr << found->first << ": " << error.what() << std::endl;
      return error_reply(status::internal_server_error);
    }
  }

 private:
  // "/hello" of "/hello?loud" and of "http://host/hello".
  static std::string_view path_of(boost::beast::string_view target) {
    std::string_view path(target.data(), target.size());
    path = path.substr(0, path.find('?'));
    if (const auto scheme = path.find("://"); scheme != path.npos && path.front() != '/') {
      const auto slash = path.find('/', scheme + 3);
      return slash == path.npos ? "/" : path.substr(slash);
    }
    return path;
  }

  std::map<std::string, handler, std::less<>> handlers_;
};

}  // namespace web
