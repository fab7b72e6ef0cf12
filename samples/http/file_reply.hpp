// Answers with a file: all of it, the part that is asked for, or that it has not changed.
#pragma once
#include <string>
#include <utility>

#include "http/content_type.hpp"
#include "http/date.hpp"
#include "http/folder.hpp"
#include "http/range.hpp"

namespace web {

// Whether the client has the file as it is now, by its date.
inline bool is_known(const request& asked, std::time_t modified) {
  if (asked.count(http::field::if_none_match) > 0) return false;  // we give no tags
  const auto when = parse_http_date(std::string(asked[http::field::if_modified_since]));
  return when && modified <= *when;
}

inline range part_of(const request& asked, const opened_file& what) {
  const bool is_same = asked.count(http::field::if_range) == 0 ||
                       asked[http::field::if_range] == http_date(what.about.st_mtime);
  if (asked.method() != http::verb::get || !is_same) return parse_range("", what.size());
  const auto text = asked[http::field::range];
  return parse_range({text.data(), text.size()}, what.size());
}

inline response file_reply(const request& asked, opened_file what, const std::string& name) {
  if (!what.is_regular()) throw refused(status::not_found);
  response made = reply("", content_type_of(name));
  made.set(http::field::last_modified, http_date(what.about.st_mtime));
  made.set(http::field::accept_ranges, "bytes");
  made.set("X-Content-Type-Options", "nosniff");
  if (is_known(asked, what.about.st_mtime)) {
    made.result(status::not_modified);
    return made;
  }
  const range part = part_of(asked, what);
  const std::string size = "/" + std::to_string(what.size());
  if (part.what == range::kind::none) {
    made = error_reply(status::range_not_satisfiable);
    made.set(http::field::content_range, "bytes *" + size);
    return made;
  }
  if (part.what == range::kind::part) {
    const auto last = part.first + part.count - 1;
    made.result(status::partial_content);
    made.set(http::field::content_range,
             "bytes " + std::to_string(part.first) + "-" + std::to_string(last) + size);
    ::lseek(what.file.get(), static_cast<off_t>(part.first), SEEK_SET);
  }
  made.body().file = std::move(what.file);
  made.body().file_bytes = part.count;
  return made;
}

}  // namespace web
