// Dates as HTTP writes them: "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once
#include <time.h>

#include <optional>
#include <string>

namespace web {

inline std::string http_date(std::time_t when) {
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// Nothing if it is anything else; the two forms of old are not read either.
inline std::optional<std::time_t> parse_http_date(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end != text.c_str() + text.size() || text.empty()) return std::nullopt;
  return ::timegm(&parts);
}

}  // namespace web
