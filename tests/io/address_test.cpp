// Addresses as values.
#include <weft/address.hpp>

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <unordered_set>

#include "io/address_access.hpp"

using weft::address;

namespace {

TEST(Address, PrintsWhatItWasMadeOf) {
  EXPECT_EQ(address("127.0.0.1", 80).to_string(), "127.0.0.1:80");
  EXPECT_EQ(address("::1", 80).to_string(), "[::1]:80");
  EXPECT_EQ(address("2001:DB8:0:0:0:0:0:1", 0).to_string(), "2001:db8::1");
  EXPECT_EQ(address("10.0.0.1", 0).to_string(), "10.0.0.1");
  EXPECT_EQ(address().to_string(), "no address");
  std::ostringstream out;
  out << address("10.0.0.1", 65535);
  EXPECT_EQ(out.str(), "10.0.0.1:65535");
}

TEST(Address, HasPartsToAskFor) {
  const address v4("127.0.0.1", 80);
  EXPECT_EQ(v4.kind(), address::family::ipv4);
  EXPECT_EQ(v4.ip(), "127.0.0.1");
  EXPECT_EQ(v4.port(), 80);
  EXPECT_EQ(address("::", 1).kind(), address::family::ipv6);
  EXPECT_EQ(address().kind(), address::family::none);
}

TEST(Address, KnowsTheInterfaceOfALinkLocalOne) {
  const address local("fe80::1%lo", 80);
  EXPECT_EQ(local.to_string(), "[fe80::1%lo]:80");
  EXPECT_NE(local, address("fe80::1", 80));
  EXPECT_EQ(address("fe80::1%1", 80), local) << "lo is the first";
}

TEST(Address, RefusesWhatIsNone) {
  for (const char* text : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::1::",
                           "127.0.0.1%lo", "fe80::1%", "fe80::1%no-such-interface", "[::1]"})
    EXPECT_THROW(address(text, 1), std::invalid_argument) << text;
  EXPECT_THROW(address(std::string_view("1.2.3.4\0x", 9), 1), std::invalid_argument);
}

TEST(Address, ParsesWhatItPrints) {
  for (const address& each : {address("127.0.0.1", 80), address("::1", 8080), address("::1", 0),
                              address("10.1.2.3", 0), address("fe80::1%lo", 1)})
    EXPECT_EQ(address::parse(each.to_string()), each) << each;
  for (const char* text : {"", ":80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "::1]:80",
                           "[::1]80", "[1.2.3.4]:80", "name:80", "[::1]:80 "})
    EXPECT_EQ(address::parse(text), std::nullopt) << text;
}

TEST(Address, ComparesAndHashesByValue) {
  const address a("10.0.0.1", 80);
  EXPECT_EQ(a, address("10.0.0.1", 80));
  EXPECT_NE(a, address("10.0.0.1", 81));
  EXPECT_NE(a, address("10.0.0.2", 80));
  EXPECT_LT(a, address("10.0.0.2", 1));
  EXPECT_LT(a, address("10.0.0.1", 81));
  EXPECT_LT(a, address("::", 0));
  EXPECT_LT(address(), a);
  const std::unordered_set<address> all{a, address("10.0.0.1", 80), address("::1", 80)};
  EXPECT_EQ(all.size(), 2u);
}

TEST(Address, SurvivesTheSystemsForm) {
  using access = weft::detail::address_access;
  for (const address& each : {address("127.0.0.1", 80), address("fe80::1%lo", 8080)})
    EXPECT_EQ(access::from(access::raw(each).get()), each) << each;
}

TEST(Address, Ipv4InsideIpv6ComesOutOfTheSystemAsIpv4) {
  using access = weft::detail::address_access;
  const address mapped("::ffff:10.1.2.3", 80);
  EXPECT_EQ(mapped.kind(), address::family::ipv6) << "what was written stays";
  EXPECT_EQ(access::from(access::raw(mapped).get()), address("10.1.2.3", 80));
  const address v6("2001:db8::1", 80);
  EXPECT_EQ(access::from(access::raw(v6).get()), v6);
}

TEST(Address, FitsTheFamilyOfASocketWhereItCan) {
  using access = weft::detail::address_access;
  constexpr auto v4 = address::family::ipv4;
  constexpr auto v6 = address::family::ipv6;
  const address four("10.1.2.3", 80);
  const address mapped("::ffff:10.1.2.3", 80);
  const address six("2001:db8::1", 80);
  EXPECT_EQ(access::for_family(four, v4), four);
  EXPECT_EQ(access::for_family(four, v6), mapped);
  EXPECT_EQ(access::for_family(mapped, v4), four);
  EXPECT_EQ(access::for_family(mapped, v6), mapped);
  EXPECT_EQ(access::for_family(six, v4), six) << "no such socket reaches it";
  EXPECT_EQ(access::for_family(address("0.0.0.0", 80), v6), address("::", 80));
  EXPECT_EQ(access::for_family(address("::", 80), v4), address("0.0.0.0", 80));
  EXPECT_EQ(access::for_family(address(), v6), address());
}

}  // namespace
