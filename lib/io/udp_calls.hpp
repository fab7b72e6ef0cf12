// System calls on UDP sockets, as functions that return -errno; see socket_calls.hpp.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <weft/address.hpp>

#include "io/socket_calls.hpp"

namespace weft::detail::calls {

// -EAGAIN instead of waiting.
ssize_t receive_from(int fd, void* to, std::size_t n, raw_address& from, bool& truncated) noexcept;
// To null: to the peer it is connected to.
ssize_t send_to(int fd, const void* from, std::size_t n, const raw_address* to) noexcept;

// Interface 0: the system's choice, or the one that the group's address names.
void hear_own_groups_only(int fd) noexcept;
int join_group(int fd, const raw_address& group, unsigned interface) noexcept;
int leave_group(int fd, const raw_address& group, unsigned interface) noexcept;

// Of a socket of this family; one for IPv6 may have both.
int set_multicast_interface(int fd, address::family of, unsigned interface) noexcept;
int set_multicast_ttl(int fd, address::family of, int hops) noexcept;
int set_multicast_loopback(int fd, address::family of, bool on) noexcept;

unsigned interface_number(const char* name) noexcept;  // 0 if there is none

}  // namespace weft::detail::calls
