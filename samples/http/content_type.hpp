// What a browser is told about a file, by the end of its name.
#pragma once
#include <string_view>
#include <utility>

namespace web {

inline const char* content_type_of(std::string_view name) {
  static constexpr std::pair<std::string_view, const char*> known[] = {
      {".css", "text/css; charset=utf-8"},
      {".gif", "image/gif"},
      {".html", "text/html; charset=utf-8"},
      {".ico", "image/x-icon"},
      {".jpeg", "image/jpeg"},
      {".jpg", "image/jpeg"},
      {".js", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".md", "text/markdown; charset=utf-8"},
      {".mp4", "video/mp4"},
      {".pdf", "application/pdf"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain; charset=utf-8"},
      {".wasm", "application/wasm"},
      {".webp", "image/webp"},
      {".woff2", "font/woff2"},
      {".xml", "application/xml"},
  };
  for (const auto& [end, type] : known) {
    if (name.size() > end.size() && name.substr(name.size() - end.size()) == end) return type;
  }
  return "application/octet-stream";
}

}  // namespace web
