// See udp_calls.hpp.
#include "io/udp_calls.hpp"

#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "io/direct_calls.hpp"

#define WEFT_CALL __attribute__((noinline))

namespace weft::detail::calls {
namespace {

template <class Value>
int set(int fd, int level, int name, const Value& value) noexcept {
  return repeat([&] { return ::setsockopt(fd, level, name, &value, sizeof value); });
}

ip_mreqn request(const raw_address& group, unsigned interface) noexcept {
  sockaddr_in in;
  std::memcpy(&in, &group.bytes, sizeof in);
  ip_mreqn made{};
  made.imr_multiaddr = in.sin_addr;
  made.imr_ifindex = static_cast<int>(interface);
  return made;
}

ipv6_mreq request6(const raw_address& group, unsigned interface) noexcept {
  sockaddr_in6 in;
  std::memcpy(&in, &group.bytes, sizeof in);
  ipv6_mreq made{};
  made.ipv6mr_multiaddr = in.sin6_addr;
  made.ipv6mr_interface = interface != 0 ? interface : in.sin6_scope_id;
  return made;
}

// The option of its family decides; one for IPv6 takes the other as well where it has IPv4, too.
template <class Value4, class Value6>
int set_for(address::family of, int fd, int name4, const Value4& value4, int name6,
            const Value6& value6) noexcept {
  const int error4 = set(fd, IPPROTO_IP, name4, value4);
  return of == address::family::ipv4 ? error4 : set(fd, IPPROTO_IPV6, name6, value6);
}

}  // namespace

WEFT_CALL ssize_t receive_from(int fd, void* to, std::size_t n, raw_address& from,
                               bool& truncated) noexcept {
  iovec room{to, n};
  msghdr message{};
  message.msg_name = &from.bytes;
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  const ssize_t got = repeat([&]() -> ssize_t {
    message.msg_namelen = sizeof from.bytes;
#if WEFT_DIRECT_CALLS
    return ::syscall(SYS_recvmsg, fd, &message, MSG_DONTWAIT);
#else
    return ::recvmsg(fd, &message, MSG_DONTWAIT);
#endif
  });
  from.size = message.msg_namelen;
  truncated = (message.msg_flags & MSG_TRUNC) != 0;
  return got;
}

WEFT_CALL ssize_t send_to(int fd, const void* from, std::size_t n, const raw_address* to) noexcept {
  const sockaddr* name = to != nullptr ? to->get() : nullptr;
  const socklen_t size = to != nullptr ? to->size : 0;
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  return repeat([&]() -> ssize_t {
#if WEFT_DIRECT_CALLS && defined(SYS_sendto)
    return ::syscall(SYS_sendto, fd, from, n, flags, name, size);
#else
    return ::sendto(fd, from, n, flags, name, size);
#endif
  });
}

// Linux gives a socket also what others have joined on its port, unless told not to.
WEFT_CALL void hear_own_groups_only(int fd) noexcept {
#ifdef IP_MULTICAST_ALL
  set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
#endif
#ifdef IPV6_MULTICAST_ALL
  set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
#endif
}

WEFT_CALL int join_group(int fd, const raw_address& group, unsigned interface) noexcept {
  return group.get()->sa_family == AF_INET
             ? set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request(group, interface))
             : set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, request6(group, interface));
}

WEFT_CALL int leave_group(int fd, const raw_address& group, unsigned interface) noexcept {
  return group.get()->sa_family == AF_INET
             ? set(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, request(group, interface))
             : set(fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, request6(group, interface));
}

WEFT_CALL int set_multicast_interface(int fd, address::family of, unsigned interface) noexcept {
  ip_mreqn by_number{};
  by_number.imr_ifindex = static_cast<int>(interface);
  return set_for(of, fd, IP_MULTICAST_IF, by_number, IPV6_MULTICAST_IF,
                 static_cast<int>(interface));
}

WEFT_CALL int set_multicast_ttl(int fd, address::family of, int hops) noexcept {
  return set_for(of, fd, IP_MULTICAST_TTL, hops, IPV6_MULTICAST_HOPS, hops);
}

WEFT_CALL int set_multicast_loopback(int fd, address::family of, bool on) noexcept {
  const int value = on ? 1 : 0;
  return set_for(of, fd, IP_MULTICAST_LOOP, value, IPV6_MULTICAST_LOOP, value);
}

WEFT_CALL unsigned interface_number(const char* name) noexcept { return if_nametoindex(name); }

}  // namespace weft::detail::calls
