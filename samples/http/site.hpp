// Which function answers which path.
#pragma once
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "http/message.hpp"
#include "http/path.hpp"

namespace web {

class site {
 public:
  using handler = std::function<response(const request&)>;

  // Answers GET, and HEAD with it.
  void get(std::string path, handler answer) { handlers_[std::move(path)] = std::move(answer); }

  // Answers what no other handler does.
  void otherwise(handler answer) { otherwise_ = std::move(answer); }

  // A handler's own failure is the server's, not the client's: 500.
  response answer(const request& asked) const {
    const auto found = handlers_.find(path_of(asked.target()));
    const handler& chosen = found == handlers_.end() ? otherwise_ : found->second;
    if (!chosen) return error_reply(status::not_found);
    if (asked.method() != http::verb::get && asked.method() != http::verb::head) {
      response made = error_reply(status::method_not_allowed);
      made.set(http::field::allow, "GET, HEAD");
      return made;
    }
    try {
      return chosen(asked);
    } catch (const refused& no) {
      return error_reply(no.why());
    } catch (const std::exception& error) {
      std::cerr << asked.target() << ": " << error.what() << std::endl;
      return error_reply(status::internal_server_error);
    }
  }

 private:
  std::map<std::string, handler, std::less<>> handlers_;
  handler otherwise_;
};

}  // namespace web
