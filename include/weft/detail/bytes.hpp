// What counts as bytes to read into or to write: every contiguous container of a byte type, such as
// std::string, std::vector<char>, std::array<std::byte, N>, C arrays; std::string_view and text
// literals to write.
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::detail {

struct const_bytes {
  const void* data;
  std::size_t size;
};

struct mutable_bytes {
  void* data;
  std::size_t size;
};

template <class T>
struct is_byte : std::false_type {};
template <>
struct is_byte<char> : std::true_type {};
template <>
struct is_byte<signed char> : std::true_type {};
template <>
struct is_byte<unsigned char> : std::true_type {};
template <>
struct is_byte<std::byte> : std::true_type {};
#ifdef __cpp_char8_t
template <>
struct is_byte<char8_t> : std::true_type {};
#endif

// The element of a contiguous container, const if it may not be written to; void for anything else.
template <class C, class = void>
struct element_of {
  using type = void;
};
template <class C>
struct element_of<C, std::void_t<decltype(std::data(std::declval<C&>())),
                                 decltype(std::size(std::declval<C&>()))>> {
  using type = std::remove_pointer_t<decltype(std::data(std::declval<C&>()))>;
};

// For arguments taken as Bytes&&.
template <class Bytes>
using byte_element = typename element_of<std::remove_reference_t<Bytes>>::type;

#ifdef __cpp_char8_t
template <class Bytes>
inline constexpr bool is_const_text = std::is_same_v<byte_element<Bytes>, const char> ||
                                      std::is_same_v<byte_element<Bytes>, const char8_t>;
#else
template <class Bytes>
inline constexpr bool is_const_text = std::is_same_v<byte_element<Bytes>, const char>;
#endif

template <class Bytes>
inline constexpr bool is_text =
    std::is_same_v<std::remove_cv_t<std::remove_reference_t<Bytes>>, const char*> ||
    std::is_same_v<std::remove_cv_t<std::remove_reference_t<Bytes>>, char*>;

template <class Bytes>
using if_readable_bytes =
    std::enable_if_t<is_byte<std::remove_cv_t<byte_element<Bytes>>>::value || is_text<Bytes>>;

template <class Bytes>
using if_writable_bytes = std::enable_if_t<is_byte<byte_element<Bytes>>::value>;

// The bytes to write. A const char array is a text literal: its NUL at the end is left out, and a
// const char* ends at its NUL. Any other array counts whole.
template <class Bytes>
const_bytes bytes_of(Bytes&& from) noexcept {
  if constexpr (is_text<Bytes>) {
    const std::string_view text(from);
    return {text.data(), text.size()};
  } else {
    const std::size_t size = std::size(from);
    if constexpr (std::is_array_v<std::remove_reference_t<Bytes>> && is_const_text<Bytes>)
      return {std::data(from), size > 0 && from[size - 1] == '\0' ? size - 1 : size};
    else
      return {std::data(from), size};
  }
}

// The room to read into: all of the container, whose size stays.
template <class Bytes>
mutable_bytes room_of(Bytes& into) noexcept {
  return {std::data(into), std::size(into)};
}

}  // namespace weft::detail
