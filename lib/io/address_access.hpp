// Addresses as the system has them.
#pragma once
#include <weft/address.hpp>

#include "io/socket_calls.hpp"

namespace weft::detail {

struct address_access {
  // No address for a family that we do not know. IPv4 inside IPv6 (::ffff:1.2.3.4), as sockets for
  // both have it, comes out as IPv4.
  static address from(const sockaddr* raw) noexcept;
  static raw_address raw(const address& what) noexcept;

  // The same for a socket of that family: IPv4 goes inside IPv6, or out of it, and "any address" to
  // its like. Others stay as they are: no such socket reaches them.
  static address for_family(address what, address::family of) noexcept;

  static address with_port(address what, std::uint16_t port) noexcept {
    what.port_ = port;
    return what;
  }

  // The digits alone; false if it is something else.
  static bool read_ip(std::string_view digits, address& into) noexcept;
};

}  // namespace weft::detail
