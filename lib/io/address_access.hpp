// Addresses as the system has them.
#pragma once
#include <weft/address.hpp>

#include "io/socket_calls.hpp"

namespace weft::detail {

struct address_access {
  // No address for a family that we do not know.
  static address from(const sockaddr* raw) noexcept;
  static raw_address raw(const address& what) noexcept;

  static address with_port(address what, std::uint16_t port) noexcept {
    what.port_ = port;
    return what;
  }

  // The digits alone; false if it is something else.
  static bool read_ip(std::string_view digits, address& into) noexcept;
};

}  // namespace weft::detail
