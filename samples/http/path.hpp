// From what a request asks for to the name of a file.
#pragma once
#include <boost/beast/core/string.hpp>
#include <string>
#include <string_view>

#include "http/message.hpp"

namespace web {

// "/hello" of "/hello?loud" and of "http://host/hello".
inline std::string_view path_of(boost::beast::string_view target) {
  std::string_view path(target.data(), target.size());
  path = path.substr(0, path.find('?'));
  if (const auto scheme = path.find("://"); scheme != path.npos && path.front() != '/') {
    const auto slash = path.find('/', scheme + 3);
    return slash == path.npos ? "/" : path.substr(slash);
  }
  return path;
}

// Replaces %41 by A, once. Throws: refused (400) if it is no such code, or that of NUL.
inline std::string decoded(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    throw refused(status::bad_request);
  };
  std::string made;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) throw refused(status::bad_request);
      c = static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    }
    if (c == '\0') throw refused(status::bad_request);
    made += c;
  }
  return made;
}

// The file that a path names, relative to the folder that is served: "a/b" of "/a/b", "a/" of
// "/a/",
// "." of "/". Throws: refused (400) if a part of it is ".", ".." or empty: nobody who means well
// asks for those, as clients take them out themselves.
inline std::string file_name_of(std::string_view path) {
  if (path.empty() || path.front() != '/') throw refused(status::bad_request);
  const std::string name = decoded(path.substr(1));
  if (name.empty()) return ".";
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const auto part = std::string_view(name).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") throw refused(status::bad_request);
    begin = end + 1;
  }
  return name;
}

}  // namespace web
