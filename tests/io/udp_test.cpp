// Datagrams.
#include <weft/udp.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "io/socket_support.hpp"

using weft::address;
using weft::udp_socket;
using weft_test::failure_of;
using weft_test::is_pattern;
using weft_test::outcome;
using weft_test::pattern;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using Udp = weft_test::fiber_fixture;
FIBER_SUITE(Udp);

std::string take(udp_socket& from) {
  std::string room(70'000, '\0');
  room.resize(from.recv_from(room).bytes);
  return room;
}

bool has_nothing(udp_socket& from) {
  char byte = 0;
  try {
    weft::with_timeout(1ms, [&] { from.recv_from(&byte, 1); });
    return false;
  } catch (const weft::timed_out&) {
    return true;
  }
}

bool has_ipv6() {
  return outcome([] { udp_socket("::1", 0); }) == "done";
}

// ---- moving datagrams

TEST_P(Udp, ADatagramComesWithItsSender) {
  inside([] {
    udp_socket server("127.0.0.1", 0);
    udp_socket client("127.0.0.1", 0);
    client.send_to("hello", 5, server.local_address());
    char room[100];
    auto [n, from] = server.recv_from(room, sizeof room);
    EXPECT_EQ(std::string(room, n), "hello");
    EXPECT_EQ(from, client.local_address());
    server.send_to(room, n, from);
    const weft::datagram back = client.recv_from(room);
    EXPECT_EQ(back.bytes, 5u);
    EXPECT_EQ(back.address, server.local_address());
    EXPECT_FALSE(back.truncated);
  });
}

TEST_P(Udp, WhatIsBoundToTwoNamesCanBeChangedAndMoved) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    for (int i = 0; i < 3; ++i) self.send_to("xyz", self.local_address());
    char room[10];
    auto [n, from] = self.recv_from(room);
    n += 1;
    EXPECT_EQ(n, 4u);
    const address moved = std::move(from);
    EXPECT_EQ(moved, self.local_address());
    const auto& [bytes, sender] = self.recv_from(room);
    EXPECT_EQ(bytes, 3u);
    EXPECT_EQ(sender, moved);
    static_assert(std::is_same_v<decltype(bytes), const std::size_t>);
    auto&& [again, who] = self.recv_from(room);
    EXPECT_EQ(again, 3u);
    EXPECT_EQ(who, moved);
  });
}

TEST_P(Udp, ADatagramIsReceivedWhenItComes) {
  inside([] {
    udp_socket server("127.0.0.1", 0);
    udp_socket client("127.0.0.1", 0);
    for (int round = 0; round < 20; ++round) {
      auto receiver = weft::go([&] {
        const std::string first = take(server);
        return first + take(server);
      });
      until_parked(1);
      client.send_to("a", server.local_address());
      client.send_to("b", server.local_address());
      EXPECT_EQ(receiver.join(), "ab");
    }
  });
}

TEST_P(Udp, EveryContiguousContainerWillDo) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    const address here = self.local_address();
    self.send_to("literal", here);
    self.send_to(std::string("string"), here);
    self.send_to(std::string_view("view"), here);
    self.send_to(std::vector<unsigned char>{'v', 'e', 'c'}, here);
    self.send_to(std::array<std::byte, 1>{std::byte{'b'}}, here);
    EXPECT_EQ(take(self), "literal");
    std::vector<char> room(10);
    EXPECT_EQ(self.recv_from(room).bytes, 6u);
    std::array<std::byte, 10> bytes;
    EXPECT_EQ(self.recv_from(bytes).bytes, 4u);
    unsigned char raw[10];
    EXPECT_EQ(self.recv_from(raw).bytes, 3u);
    EXPECT_EQ(take(self), "b");
    self.connect(here);
    self.send("one");
    self.send(std::string("two"));
    EXPECT_EQ(self.recv(room), 3u);
    EXPECT_EQ(self.recv(room.data(), room.size()), 3u);
    EXPECT_EQ(std::string(room.data(), 3), "two");
  });
}

TEST_P(Udp, AnEmptyDatagramIsOne) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    self.send_to(nullptr, 0, self.local_address());
    self.send_to("", self.local_address());
    self.send_to("after", self.local_address());
    char room[10];
    const weft::datagram got = self.recv_from(room);
    EXPECT_EQ(got.bytes, 0u);
    EXPECT_EQ(got.address, self.local_address());
    EXPECT_FALSE(self.recv_from(nullptr, 0).truncated);
    EXPECT_EQ(take(self), "after");
  });
}

TEST_P(Udp, WhatFindsNoRoomIsLostAndReported) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    for (int i = 0; i < 2; ++i) self.send_to("0123456789", self.local_address());
    self.send_to("next", self.local_address());
    char room[4];
    const weft::datagram got = self.recv_from(room);
    EXPECT_EQ(got.bytes, 4u);
    EXPECT_TRUE(got.truncated);
    EXPECT_EQ(std::string(room, 4), "0123");
    const weft::datagram none = self.recv_from(nullptr, 0);
    EXPECT_EQ(none.bytes, 0u);
    EXPECT_TRUE(none.truncated);
    const weft::datagram fits = self.recv_from(room);
    EXPECT_EQ(std::string(room, 4), "next");
    EXPECT_FALSE(fits.truncated);
  });
}

TEST_P(Udp, TheLongestDatagramArrivesAndALongerOneIsAnError) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    constexpr std::size_t longest = 65'535 - 20 - 8;  // IPv4 and UDP headers
    self.send_to(pattern(0, longest), self.local_address());
    const std::string got = take(self);
    EXPECT_EQ(got.size(), longest);
    EXPECT_TRUE(is_pattern(got.data(), 0, got.size()));
    const std::string where = self.local_address().to_string();
    EXPECT_EQ(outcome([&] { self.send_to(pattern(0, longest + 1), self.local_address()); }),
              "cannot send to " + where + ": Message too long");
    EXPECT_EQ(failure_of([&] { self.send_to(std::string(1'000'000, 'x'), self.local_address()); }),
              std::errc::message_size);
    EXPECT_TRUE(has_nothing(self));
  });
}

TEST_P(Udp, ManySendersAtOnceLoseNothing) {
  inside([] {
    udp_socket server("127.0.0.1", 0);
    udp_socket client("127.0.0.1", 0);
    constexpr int senders = 8;
    constexpr int each = 20;  // few enough for the receive buffer
    weft::group all;
    for (int i = 0; i < senders; ++i)
      all.go([&, i] {
        for (int k = 0; k < each; ++k)
          client.send_to(std::to_string(i * each + k), server.local_address());
      });
    std::vector<bool> seen(senders * each);
    for (int i = 0; i < senders * each; ++i) {
      const auto number = static_cast<std::size_t>(std::stoi(take(server)));
      EXPECT_FALSE(seen[number]) << number;
      seen[number] = true;
    }
    all.wait();
  });
}

TEST_P(Udp, ABusySocketDoesNotStarveOthers) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    std::atomic<bool> over{false};
    auto busy = weft::go([&] {
      char byte = 0;
      while (!over) {
        self.send_to("x", self.local_address());
        self.recv_from(&byte, 1);
      }
    });
    for (int i = 0; i < 5; ++i) weft::sleep(1ms);
    over = true;
    busy.join();
  });
}

// ---- connected

TEST_P(Udp, AConnectedSocketHearsItsPeerAlone) {
  inside([] {
    udp_socket peer("127.0.0.1", 0);
    udp_socket stranger("127.0.0.1", 0);
    udp_socket self("127.0.0.1", 0);
    EXPECT_EQ(failure_of([&] { self.send("x"); }), std::errc::destination_address_required);
    self.connect(peer.local_address());
    stranger.send_to("no", self.local_address());
    peer.send_to("yes", self.local_address());
    EXPECT_EQ(take(self), "yes");
    self.send("to peer");
    EXPECT_EQ(take(peer), "to peer");
    EXPECT_TRUE(has_nothing(self));
    self.connect("localhost", stranger.local_address().port());
    self.send("to stranger");
    EXPECT_EQ(take(stranger), "to stranger");
    EXPECT_EQ(failure_of([&] { self.connect(address()); }), std::errc::invalid_argument);
  });
}

TEST_P(Udp, AConnectedSocketKnowsItsOwnAddress) {
  inside([] {
    udp_socket peer("127.0.0.1", 0);
    udp_socket self("", 0);
    const std::uint16_t port = self.local_address().port();
    EXPECT_NE(port, 0);
    self.connect(peer.local_address());
    EXPECT_EQ(self.local_address(), address("127.0.0.1", port));
  });
}

TEST_P(Udp, NobodyThereIsARefusal) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    udp_socket gone("127.0.0.1", 0);
    self.connect(gone.local_address());
    gone.close();
    auto receiver = weft::go([&] {
      return outcome([&] {
        char byte = 0;
        self.recv(&byte, 1);
      });
    });
    until_parked(1);
    self.send("x");
    EXPECT_EQ(receiver.join(),
              "cannot receive on " + self.local_address().to_string() + ": Connection refused");
    self.send("y");  // the refusal was told once
    EXPECT_EQ(failure_of([&] { self.send("z"); }), std::errc::connection_refused);
    // Without a connection it concerns nobody.
    udp_socket free("127.0.0.1", 0);
    free.send_to("x", address("127.0.0.1", 1));
    EXPECT_TRUE(has_nothing(free));
  });
}

// ---- families and interfaces

TEST_P(Udp, OneSocketForAllInterfacesHasBothFamilies) {
  inside([] {
    if (!has_ipv6()) return;
    for (const char* ip : {"127.0.0.1", "::1"}) {
      udp_socket server("", 0);
      const std::uint16_t port = server.local_address().port();
      udp_socket client(ip, 0);
      client.send_to("ping", address(ip, port));
      char room[10];
      auto [n, from] = server.recv_from(room);
      EXPECT_EQ(from, client.local_address()) << "an IPv4 peer is shown as such";
      server.send_to("pong", from);
      EXPECT_EQ(take(client), "pong");
      server.connect(from);
      server.send("again");
      EXPECT_EQ(client.recv_from(room).address, address(ip, port));
      EXPECT_EQ(server.local_address(), address(ip, port));
    }
  });
}

TEST_P(Udp, AnyAddressMeansThisHost) {
  inside([] {
    udp_socket server("", 0);
    udp_socket client("127.0.0.1", 0);
    client.send_to("x", server.local_address());
    EXPECT_EQ(take(server), "x");
  });
}

TEST_P(Udp, ASocketForOneFamilyDoesNotReachTheOther) {
  inside([] {
    if (!has_ipv6()) return;
    weft::udp_options alone;
    alone.ipv6_only = true;
    udp_socket v6("::", 0, alone);
    udp_socket v4("127.0.0.1", 0);
    EXPECT_NE(failure_of([&] { v6.send_to("x", v4.local_address()); }), std::error_condition());
    EXPECT_EQ(failure_of([&] { v4.send_to("x", address("::1", v6.local_address().port())); }),
              std::errc::address_family_not_supported);
    EXPECT_EQ(failure_of([&] { v4.connect(address("::1", 9)); }),
              std::errc::address_family_not_supported);
    v4.send_to("mapped", address("::ffff:127.0.0.1", v4.local_address().port()));
    EXPECT_EQ(take(v4), "mapped");
    udp_socket inside_v6("::ffff:127.0.0.1", 0);
    inside_v6.send_to("to v4", v4.local_address());
    EXPECT_EQ(take(v4), "to v4");
    v4.send_to("back", inside_v6.local_address());
    EXPECT_EQ(take(inside_v6), "back");
    udp_socket shares("0.0.0.0", v6.local_address().port());  // the port is free for IPv4
  });
}

TEST_P(Udp, BroadcastsHaveToBeAllowed) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    const address everyone("127.255.255.255", self.local_address().port());
    EXPECT_EQ(failure_of([&] { self.send_to("x", everyone); }), std::errc::permission_denied);
    udp_socket receiver("", 0);
    self.set_broadcast();
    self.send_to("to all", address("127.255.255.255", receiver.local_address().port()));
    EXPECT_EQ(take(receiver), "to all");
    self.set_broadcast(false);
    EXPECT_EQ(failure_of([&] { self.send_to("x", everyone); }), std::errc::permission_denied);
  });
}

void exchange_by_group(const char* any, const address& group, const std::string& interface) {
  weft::udp_options shared;
  shared.reuse_port = true;
  udp_socket member(any, 0, shared);
  udp_socket other(any, member.local_address().port(), shared);
  udp_socket sender(any, 0);
  sender.set_multicast_interface(interface);
  sender.set_multicast_ttl(0);  // not beyond this host
  const auto ip = group.ip();
  const address to(ip.substr(0, ip.find('%')), member.local_address().port());
  member.join_group(group, interface);
  other.join_group(group, interface);
  sender.send_to("to the group", to);
  EXPECT_EQ(take(member), "to the group");
  EXPECT_EQ(take(other), "to the group") << "each member gets it";
  other.leave_group(group, interface);
  sender.send_to("again", to);
  EXPECT_EQ(take(member), "again");
  EXPECT_TRUE(has_nothing(other));
  EXPECT_EQ(failure_of([&] { other.leave_group(group, interface); }),
            std::errc::address_not_available);
}

TEST_P(Udp, AGroupIsHeardByItsMembers) {
  inside([] { exchange_by_group("0.0.0.0", address("239.1.2.3", 0), "lo"); });
}

// Loopback has no route for such groups unless somebody made one.
std::string interface_for(const address& group) {
  std::string found;
  struct if_nameindex* all = if_nameindex();
  for (auto* each = all; each->if_index != 0 && found.empty(); ++each) {
    udp_socket sender("::", 0);
    sender.set_multicast_interface(each->if_name);
    if (outcome([&] { sender.send_to("x", group); }) == "done") found = each->if_name;
  }
  if_freenameindex(all);
  return found;
}

TEST_P(Udp, SoIsAGroupOfIpv6) {
  inside([] {
    if (!has_ipv6()) return;
    const std::string ip = "ff11::1:2:3";  // of the interface alone: nothing leaves this host
    const std::string interface = interface_for(address(ip, 9));
    if (interface.empty()) return;
    exchange_by_group("::", address(ip, 0), interface);
    exchange_by_group("::", address(ip + "%" + interface, 0), "");
  });
}

TEST_P(Udp, OptionsOfGroupsReachTheSystem) {
  inside([] {
    const auto option = [](const udp_socket& of, int level, int name) {
      int value = -1;
      socklen_t size = sizeof value;
      getsockopt(of.fd(), level, name, &value, &size);
      return value;
    };
    udp_socket v4("127.0.0.1", 0);
    EXPECT_EQ(option(v4, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    EXPECT_EQ(option(v4, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    v4.set_multicast_ttl(7);
    v4.set_multicast_loopback(false);
    EXPECT_EQ(option(v4, IPPROTO_IP, IP_MULTICAST_TTL), 7);
    EXPECT_EQ(option(v4, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    if (!has_ipv6()) return;
    udp_socket both("", 0);
    both.set_multicast_ttl(7);
    both.set_multicast_loopback(false);
    EXPECT_EQ(option(both, IPPROTO_IP, IP_MULTICAST_TTL), 7);
    EXPECT_EQ(option(both, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    EXPECT_EQ(option(both, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 7);
    EXPECT_EQ(option(both, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
  });
}

TEST_P(Udp, ASocketForBothFamiliesJoinsGroupsOfBoth) {
  inside([] {
    if (has_ipv6()) exchange_by_group("::", address("239.1.2.4", 0), "lo");
  });
}

TEST_P(Udp, WhatIsNoGroupOrNoInterfaceCannotBeJoined) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    EXPECT_EQ(outcome([&] { self.join_group(address("127.0.0.1", 0), "lo"); }),
              "cannot join 127.0.0.1: Invalid argument");
    EXPECT_EQ(outcome([&] { self.join_group(address("239.1.2.3", 0), "nosuch0"); }),
              "cannot use the interface \"nosuch0\": No such device");
    EXPECT_EQ(failure_of([&] { self.join_group(address(), "lo"); }), std::errc::invalid_argument);
    EXPECT_EQ(failure_of([&] { self.join_group(address("239.1.2.3", 0), std::string("lo\0", 3)); }),
              std::errc::no_such_device);
    EXPECT_EQ(failure_of([&] { self.set_multicast_interface("nosuch0"); }),
              std::errc::no_such_device);
    EXPECT_EQ(failure_of([&] { self.set_multicast_ttl(1000); }), std::errc::invalid_argument);
  });
}

// ---- opening

TEST_P(Udp, APortIsSharedOnlyIfBothWant) {
  inside([] {
    udp_socket first("127.0.0.1", 0);
    const std::uint16_t port = first.local_address().port();
    EXPECT_EQ(outcome([&] { udp_socket("127.0.0.1", port); }),
              "cannot open a UDP socket on 127.0.0.1:" + std::to_string(port) +
                  ": Address already in use");
    weft::udp_options shared;
    shared.reuse_port = true;
    udp_socket one("127.0.0.1", 0, shared);
    udp_socket two("127.0.0.1", one.local_address().port(), shared);
    EXPECT_EQ(one.local_address(), two.local_address());
  });
}

TEST_P(Udp, AHostMayBeAName) {
  inside([] {
    udp_socket self("localhost", 0);
    const std::string ip = self.local_address().ip();
    EXPECT_TRUE(ip == "127.0.0.1" || ip == "::1") << ip;
    EXPECT_EQ(failure_of([] { udp_socket("192.0.2.200", 0); }), std::errc::address_not_available);
  });
}

TEST_P(Udp, DescriptorsAreNotInherited) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    EXPECT_NE(fcntl(self.fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(self.fd(), F_GETFL) & O_NONBLOCK, 0);
  });
}

TEST_P(Udp, WhatIsNotOpenSaysSo) {
  inside([] {
    const auto ends_badly = [](udp_socket& socket) {
      const auto bad = std::make_error_condition(std::errc::bad_file_descriptor);
      const address where("127.0.0.1", 9);
      char byte = 0;
      EXPECT_EQ(failure_of([&] { socket.recv_from(&byte, 1); }), bad);
      EXPECT_EQ(failure_of([&] { socket.recv(&byte, 1); }), bad);
      EXPECT_EQ(failure_of([&] { socket.send_to("x", where); }), bad);
      EXPECT_EQ(failure_of([&] { socket.send("x"); }), bad);
      EXPECT_EQ(failure_of([&] { socket.connect(where); }), bad);
      EXPECT_EQ(failure_of([&] { socket.connect("127.0.0.1", 9); }), bad);
      EXPECT_EQ(failure_of([&] { socket.local_address(); }), bad);
      EXPECT_EQ(failure_of([&] { socket.set_broadcast(); }), bad);
      EXPECT_EQ(failure_of([&] { socket.join_group(address("239.1.2.3", 0)); }), bad);
      EXPECT_EQ(failure_of([&] { socket.leave_group(address("239.1.2.3", 0)); }), bad);
      EXPECT_EQ(failure_of([&] { socket.set_multicast_interface("lo"); }), bad);
      EXPECT_EQ(failure_of([&] { socket.set_multicast_ttl(1); }), bad);
      EXPECT_EQ(failure_of([&] { socket.set_multicast_loopback(true); }), bad);
      EXPECT_EQ(socket.fd(), -1);
      EXPECT_FALSE(socket);
      socket.close();
    };
    udp_socket self("127.0.0.1", 0);
    EXPECT_TRUE(self);
    const std::string where = self.local_address().to_string();
    udp_socket moved = std::move(self);
    EXPECT_TRUE(moved);
    ends_badly(self);  // NOLINT: moved from
    moved.close();
    ends_badly(moved);
    EXPECT_EQ(outcome([&] { moved.send("x"); }),
              "cannot send from " + where + ": Bad file descriptor");
    udp_socket empty;
    ends_badly(empty);
    udp_socket self_again("127.0.0.1", 0);
    EXPECT_EQ(failure_of([&] { self_again.send_to("x", address()); }), std::errc::invalid_argument);
  });
}

TEST(UdpOutsideAFiber, IsALogicError) {
  EXPECT_THROW(udp_socket("127.0.0.1", 0), std::logic_error);
  EXPECT_THROW(udp_socket("", 0), std::logic_error);
  udp_socket self = weft::run([] { return udp_socket("127.0.0.1", 0); });
  char byte = 0;
  EXPECT_THROW(self.recv_from(&byte, 1), std::logic_error);
  EXPECT_THROW(self.send_to("x", address("127.0.0.1", 9)), std::logic_error);
  EXPECT_THROW(self.connect(address("127.0.0.1", 9)), std::logic_error);
  EXPECT_NE(self.local_address().port(), 0);  // asks only
  self.set_broadcast();
  self.close();
}

TEST_P(Udp, ASocketOutlivesItsRuntime) {
  auto self = inside([] {
    udp_socket made("127.0.0.1", 0);
    auto receiver = weft::go([&] { return take(made); });  // so that the loop knows it
    until_parked(1);
    made.send_to("x", made.local_address());
    receiver.join();
    return made;
  });
  inside([&] {
    auto receiver = weft::go([&] { return take(self); });
    until_parked(1);
    self.send_to("hello", self.local_address());
    EXPECT_EQ(receiver.join(), "hello");
  });
  std::thread([moved = std::move(self)]() mutable { moved.close(); }).join();
}

// ---- second users, closing, cancelling

TEST_P(Udp, ASecondReceiverIsRefused) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    auto receiver = weft::go([&] { return take(self); });
    until_parked(1);
    char byte = 0;
    EXPECT_EQ(failure_of([&] { self.recv_from(&byte, 1); }), std::errc::device_or_resource_busy);
    self.send_to("for the first", self.local_address());  // sending goes on
    EXPECT_EQ(receiver.join(), "for the first");
  });
}

TEST_P(Udp, ClosingWakesWhoReceives) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    auto receiver = weft::go([&] { return failure_of([&] { take(self); }); });
    until_parked(1);
    self.close();
    self.close();
    EXPECT_EQ(receiver.join(), std::errc::operation_canceled);
  });
}

TEST_P(Udp, TimeoutsLoseNothing) {
  inside([] {
    udp_socket self("127.0.0.1", 0);
    for (int round = 0; round < 20; ++round) {
      EXPECT_TRUE(has_nothing(self));
      self.send_to("kept", self.local_address());
      EXPECT_EQ(take(self), "kept");
    }
  });
}

// Loopback always has room for datagrams. So a Unix socket takes the place of the connected one:
// its peer's queue is full after a few.
class crowded {
 public:
  crowded() : pair_(weft_test::descriptors::socket_pair(SOCK_DGRAM)), socket("127.0.0.1", 0) {
    dup3(pair_[0], socket.fd(), O_CLOEXEC);
    fcntl(socket.fd(), F_SETFL, fcntl(socket.fd(), F_GETFL) | O_NONBLOCK);
    while (::send(pair_[0], "x", 1, MSG_DONTWAIT) == 1) ++filled;
  }
  std::string next() {
    char room[100];
    return std::string(room, weft::read(pair_[1], room));
  }

 private:
  weft_test::descriptors pair_;

 public:
  udp_socket socket;
  int filled = 0;
};

TEST_P(Udp, SendersThatFindNoRoomWaitForIt) {
  inside([] {
    crowded full;
    weft::group all;
    constexpr int senders = 10;
    for (int i = 0; i < senders; ++i) all.go([&] { full.socket.send("late"); });
    until_parked(senders);
    int late = 0;
    for (int i = 0; i < full.filled + senders; ++i) late += full.next() == "late" ? 1 : 0;
    EXPECT_EQ(late, senders);
    all.wait();
  });
}

TEST_P(Udp, ClosingWakesAllWhoWaitToSend) {
  inside([] {
    crowded full;
    std::vector<weft::fiber<std::error_condition>> senders;
    for (int i = 0; i < 5; ++i)
      senders.push_back(weft::go([&] { return failure_of([&] { full.socket.send("late"); }); }));
    until_parked(5);
    full.socket.close();
    for (auto& each : senders) EXPECT_EQ(each.join(), std::errc::operation_canceled);
  });
}

TEST_P(Udp, WhoWaitsToSendCanBeCancelledAndTheOthersGoOn) {
  inside([] {
    crowded full;
    std::vector<weft::fiber<std::string>> senders;
    for (int i = 0; i < 6; ++i)
      senders.push_back(weft::go([&] { return outcome([&] { full.socket.send("late"); }); }));
    until_parked(6);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { full.socket.send("never"); }), weft::timed_out);
    for (std::size_t i = 0; i < 6; i += 2) senders[i].cancel();
    for (std::size_t i = 0; i < 6; i += 2) EXPECT_EQ(outcome(senders[i]), "cancelled");
    int late = 0;
    for (int i = 0; i < full.filled + 3; ++i) late += full.next() == "late" ? 1 : 0;
    EXPECT_EQ(late, 3);
    for (std::size_t i = 1; i < 6; i += 2) EXPECT_EQ(outcome(senders[i]), "done");
  });
}

// ---- races

// Numbered datagrams, and receivers that are cancelled about when they arrive.
void race_cancellation_with_arrival(int rounds, unsigned seed) {
  udp_socket server("127.0.0.1", 0);
  udp_socket client("127.0.0.1", 0);
  const address to = server.local_address();
  std::minstd_rand random(seed);
  int next = 0;
  const auto expect_next = [&] {
    const std::string got = take(server);
    EXPECT_EQ(got, std::to_string(next++));
  };
  for (int round = 0; round < rounds; ++round) {
    auto receiver = weft::go([&] { return outcome(expect_next); });
    for (auto i = random() % 3; i > 0; --i) weft::yield();
    const bool cancel_first = random() % 2 == 0;
    if (cancel_first) receiver.cancel();
    client.send_to(std::to_string(round), to);
    if (!cancel_first) receiver.cancel();
    const std::string end = outcome(receiver);
    ASSERT_TRUE(end == "done" || end == "cancelled") << end;
    ASSERT_EQ(next, end == "done" ? round + 1 : round);
    if (end == "cancelled") expect_next();
  }
  EXPECT_TRUE(has_nothing(server));
}

TEST_P(Udp, NoDatagramIsLostOrDoubledWhenCancellationMeetsArrival) {
  inside([] {
    weft::group racers;
    for (unsigned seed = 1; seed <= 8; ++seed)
      racers.go([seed] { race_cancellation_with_arrival(4'000 / weft_test::slowness, seed); });
    racers.wait();
  });
}

TEST_P(Udp, ClosingRacesWithReceivingAndSending) {
  inside([] {
    for (int round = 0; round < 600 / weft_test::slowness; ++round) {
      udp_socket self("127.0.0.1", 0);
      const address here = self.local_address();
      int sent = 0;
      int received = 0;
      const auto is_closed = [](std::error_condition why) {
        return why == std::errc::operation_canceled || why == std::errc::bad_file_descriptor;
      };
      auto receiver = weft::go([&] {
        return failure_of([&] {
          for (;; ++received) EXPECT_EQ(take(self), "x");
        });
      });
      auto sender = weft::go([&] {
        return failure_of([&] {
          for (;; ++sent) {
            self.send_to("x", here);
            weft::yield();
          }
        });
      });
      for (int i = 0; i < round % 7; ++i) weft::yield();
      self.close();
      EXPECT_EQ(self.fd(), -1);
      EXPECT_TRUE(is_closed(receiver.join()));
      EXPECT_TRUE(is_closed(sender.join()));
      EXPECT_LE(received, sent + 1);
    }
  });
}

}  // namespace
