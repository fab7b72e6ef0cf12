// From names to addresses.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <weft/address.hpp>
#include <weft/detail/config.hpp>
#include <weft/error.hpp>

namespace weft {

// Why a name could not be resolved, as the code of an io_error.
enum class dns_errc {
  host_not_found = 1,  // there is no such name, or it has no address
  try_again,           // no answer from the name servers just now
  failed,              // anything else
};

WEFT_API const std::error_category& dns_category() noexcept;
inline std::error_code make_error_code(dns_errc why) noexcept {
  return {static_cast<int>(why), dns_category()};
}

// Returns the addresses of a host, with this port, in the order in which they should be tried
// (RFC 6724); one at least. An IP address as digits ("127.0.0.1", "fe80::1%eth0", "[::1]") gives
// itself, at once.
// Parks: while a thread asks the system (files, DNS, ...). At most options::name_threads ask at a
// time, more wait; files and blocking() are not concerned.
// Cancellation: throws cancelled at once; the question is left to end by itself, also by the end of
// the runtime.
// Throws: io_error naming the host, with a dns_errc or, for an empty host or one with a NUL inside,
// std::errc::invalid_argument; std::logic_error outside a fiber.
WEFT_API std::vector<address> resolve(const std::string& host, std::uint16_t port = 0);

}  // namespace weft

template <>
struct std::is_error_code_enum<weft::dns_errc> : std::true_type {};
