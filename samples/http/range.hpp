// Which part of a file is asked for: RFC 9110, section 14.
#pragma once
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>

namespace web {

struct range {
  enum class kind { all, part, none };  // none: nothing of what is asked for is there
  kind what = kind::all;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

namespace range_detail {

// Reads digits off the text; too large a number is the largest. False if there are none.
inline bool take_number(std::string_view& text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument) return false;
  if (error != std::errc()) value = std::numeric_limits<std::uint64_t>::max();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace range_detail

// What the field Range means for a file of this size. Several ranges, and what is not understood,
// may be answered by all of it.
inline range parse_range(std::string_view text, std::uint64_t size) {
  using range_detail::take_number;
  constexpr std::string_view unit = "bytes=";
  const range all{range::kind::all, 0, size}, none{range::kind::none, 0, 0};
  const auto equal = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  };
  const auto given = text.substr(0, unit.size());
  if (!std::equal(given.begin(), given.end(), unit.begin(), unit.end(), equal)) return all;
  text.remove_prefix(unit.size());

  std::uint64_t first = 0, last = std::numeric_limits<std::uint64_t>::max();
  if (text.substr(0, 1) == "-") {  // the last so many
    text.remove_prefix(1);
    if (!take_number(text, last) || !text.empty()) return all;
    if (last == 0) return none;
    if (size == 0) return all;
    const std::uint64_t count = last < size ? last : size;
    return {range::kind::part, size - count, count};
  }
  if (!take_number(text, first) || text.substr(0, 1) != "-") return all;
  text.remove_prefix(1);
  if (!text.empty() && (!take_number(text, last) || !text.empty())) return all;
  if (last < first) return all;
  if (first >= size) return none;
  return {range::kind::part, first, (last < size ? last + 1 : size) - first};
}

}  // namespace web
