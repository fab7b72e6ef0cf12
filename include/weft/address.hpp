// Where a socket is bound or connected to: a value to compare, to print and to keep.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include <weft/detail/config.hpp>

namespace weft {
namespace detail {
struct address_access;
}  // namespace detail

class WEFT_API address {
 public:
  enum class family : unsigned char { none, ipv4, ipv6 };

  // No address; equal to its like only.
  address() noexcept = default;

  // An IP address as digits ("127.0.0.1", "::1", "fe80::1%eth0") and a port. Names: see resolve().
  // Throws: std::invalid_argument if it is anything else.
  address(std::string_view ip, std::uint16_t port);

  // Reads what to_string() prints; nothing if the text is something else.
  static std::optional<address> parse(std::string_view text);

  family kind() const noexcept { return kind_; }
  std::uint16_t port() const noexcept { return port_; }

  // The digits without the port: "127.0.0.1".
  std::string ip() const;

  // "127.0.0.1:80", "[::1]:80"; without a port "127.0.0.1", "::1"; "no address".
  std::string to_string() const;

  std::size_t hash() const noexcept;

  // Ordered by family, then digits, then port.
  friend bool operator==(const address& a, const address& b) noexcept { return order(a, b) == 0; }
  friend bool operator!=(const address& a, const address& b) noexcept { return order(a, b) != 0; }
  friend bool operator<(const address& a, const address& b) noexcept { return order(a, b) < 0; }

 private:
  friend struct detail::address_access;
  static int order(const address& a, const address& b) noexcept;

  family kind_ = family::none;
  std::uint16_t port_ = 0;
  std::uint32_t scope_ = 0;  // the interface of a link-local IPv6 address
  std::array<unsigned char, 16> ip_{};
};

WEFT_API std::ostream& operator<<(std::ostream& to, const address& what);

}  // namespace weft

template <>
struct std::hash<weft::address> {
  std::size_t operator()(const weft::address& what) const noexcept { return what.hash(); }
};
