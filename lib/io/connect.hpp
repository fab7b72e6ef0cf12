// Connecting to the first of several addresses that answers (Happy Eyeballs, RFC 8305).
// Called by connect_tcp(), on the fiber that connects.
//
// (1) Each attempt is a child fiber: it owns its socket until it is connected, and the group that
//     the children stand in ends before the call does. So whatever ends the call (a winner, a
//     failure, cancellation, a deadline) ends all attempts and closes their descriptors.
// (2) The next attempt starts when the one before has failed, or after the delay.
// (3) The first to connect wins, also over those that were connected a moment later.
// Rejected: one fiber that waits for several sockets. A watch has one waiter and no callback; a
// wait for the first of several would be made for this alone.
#pragma once
#include <chrono>
#include <vector>
#include <weft/address.hpp>

#include "io/socket.hpp"

namespace weft::detail {

inline constexpr std::chrono::milliseconds attempt_delay{250};  // RFC 8305, 5

// The families in turn, beginning with that of the first address; otherwise the order stays.
std::vector<address> interleave(const std::vector<address>& sorted);

struct connect_result {
  socket_owner made;
  int error = 0;      // -errno, if none was made
  address told_by{};  // the address that it is the error of
};

// In this order. Of several failures it tells the last one that is not merely "there is no way".
// Cancellation: throws cancelled.
connect_result connect_first(const std::vector<address>& in_order,
                             std::chrono::nanoseconds delay = attempt_delay);

}  // namespace weft::detail
