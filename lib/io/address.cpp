// See address.hpp. Pure computation, but for the names of interfaces.
#include <weft/address.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include "io/address_access.hpp"

namespace weft {
namespace detail {
namespace {

// An interface by number or by name.
bool read_scope(std::string_view text, std::uint32_t& scope) noexcept {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, scope);
  if (error == std::errc() && at == end) return true;
  char name[IF_NAMESIZE];
  if (text.empty() || text.size() >= sizeof name) return false;
  name[text.copy(name, text.size())] = '\0';
  scope = if_nametoindex(name);
  return scope != 0;
}

bool read_port(std::string_view text, std::uint16_t& port) noexcept {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && at == end;
}

}  // namespace

address address_access::from(const sockaddr* raw) noexcept {
  address made;
  if (raw->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, raw, sizeof in);
    made.kind_ = address::family::ipv4;
    made.port_ = ntohs(in.sin_port);
    std::memcpy(made.ip_.data(), &in.sin_addr, sizeof in.sin_addr);
  } else if (raw->sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, raw, sizeof in);
    made.kind_ = address::family::ipv6;
    made.port_ = ntohs(in.sin6_port);
    made.scope_ = in.sin6_scope_id;
    std::memcpy(made.ip_.data(), &in.sin6_addr, sizeof in.sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) made = for_family(made, address::family::ipv4);
  }
  return made;
}

address address_access::for_family(address what, address::family of) noexcept {
  constexpr std::array<unsigned char, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool anywhere = what.ip_ == decltype(what.ip_){};
  if (what.kind_ == of || what.kind_ == address::family::none) return what;
  if (what.kind_ == address::family::ipv4) {
    what.kind_ = address::family::ipv6;
    if (anywhere) return what;
    std::copy_n(what.ip_.begin(), 4, what.ip_.begin() + prefix.size());
    std::copy(prefix.begin(), prefix.end(), what.ip_.begin());
  } else if (anywhere || std::equal(prefix.begin(), prefix.end(), what.ip_.begin())) {
    what.kind_ = address::family::ipv4;
    what.scope_ = 0;
    std::copy_n(what.ip_.begin() + prefix.size(), 4, what.ip_.begin());
    std::fill(what.ip_.begin() + 4, what.ip_.end(), static_cast<unsigned char>(0));
  }
  return what;
}

raw_address address_access::raw(const address& what) noexcept {
  raw_address made;
  if (what.kind_ == address::family::ipv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(what.port_);
    std::memcpy(&in.sin_addr, what.ip_.data(), sizeof in.sin_addr);
    std::memcpy(&made.bytes, &in, sizeof in);
    made.size = sizeof in;
  } else if (what.kind_ == address::family::ipv6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(what.port_);
    in.sin6_scope_id = what.scope_;
    std::memcpy(&in.sin6_addr, what.ip_.data(), sizeof in.sin6_addr);
    std::memcpy(&made.bytes, &in, sizeof in);
    made.size = sizeof in;
  }
  return made;
}

bool address_access::read_ip(std::string_view digits, address& into) noexcept {
  const std::size_t percent = digits.find('%');
  const std::string_view ip = digits.substr(0, percent);
  char text[INET6_ADDRSTRLEN];
  if (ip.size() >= sizeof text || ip.find('\0') != ip.npos) return false;
  text[ip.copy(text, ip.size())] = '\0';
  into.scope_ = 0;
  into.ip_ = {};
  if (percent == digits.npos && inet_pton(AF_INET, text, into.ip_.data()) == 1) {
    into.kind_ = address::family::ipv4;
    return true;
  }
  if (inet_pton(AF_INET6, text, into.ip_.data()) != 1) return false;
  into.kind_ = address::family::ipv6;
  return percent == digits.npos || read_scope(digits.substr(percent + 1), into.scope_);
}

}  // namespace detail

using detail::address_access;

address::address(std::string_view ip, std::uint16_t port) : port_(port) {
  if (!address_access::read_ip(ip, *this))
    throw std::invalid_argument("weft: \"" + std::string(ip) + "\" is not an IP address");
}

std::optional<address> address::parse(std::string_view text) {
  address made;
  if (address_access::read_ip(text, made)) return made;
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || !detail::read_port(text.substr(colon + 1), made.port_)) return {};
  std::string_view ip = text.substr(0, colon);
  const bool bracketed = ip.size() > 2 && ip.front() == '[' && ip.back() == ']';
  if (bracketed) ip = ip.substr(1, ip.size() - 2);
  if (!address_access::read_ip(ip, made)) return {};
  if (bracketed != (made.kind_ == family::ipv6)) return {};
  return made;
}

std::string address::ip() const {
  if (kind_ == family::none) return "no address";
  char text[INET6_ADDRSTRLEN];
  inet_ntop(kind_ == family::ipv4 ? AF_INET : AF_INET6, ip_.data(), text, sizeof text);
  std::string made(text);
  if (scope_ != 0) {
    char name[IF_NAMESIZE];
    made += '%';
    made += if_indextoname(scope_, name) != nullptr ? std::string(name) : std::to_string(scope_);
  }
  return made;
}

std::string address::to_string() const {
  if (port_ == 0 || kind_ == family::none) return ip();
  const std::string port = ":" + std::to_string(port_);
  return kind_ == family::ipv6 ? "[" + ip() + "]" + port : ip() + port;
}

std::size_t address::hash() const noexcept {
  const std::string_view bytes(reinterpret_cast<const char*>(ip_.data()), ip_.size());
  const std::size_t rest =
      (std::size_t{port_} << 32) ^ (std::size_t{scope_} << 2) ^ static_cast<std::size_t>(kind_);
  return std::hash<std::string_view>()(bytes) ^ std::hash<std::size_t>()(rest);
}

int address::order(const address& a, const address& b) noexcept {
  if (a.kind_ != b.kind_) return a.kind_ < b.kind_ ? -1 : 1;
  if (const int by_ip = std::memcmp(a.ip_.data(), b.ip_.data(), a.ip_.size())) return by_ip;
  if (a.scope_ != b.scope_) return a.scope_ < b.scope_ ? -1 : 1;
  if (a.port_ != b.port_) return a.port_ < b.port_ ? -1 : 1;
  return 0;
}

std::ostream& operator<<(std::ostream& to, const address& what) { return to << what.to_string(); }

}  // namespace weft
