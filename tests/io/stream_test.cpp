// What works with every stream, tried on streams that are made up.
#include <weft/stream.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <list>
#include <vector>

namespace {

// Gives what it was made with in pieces of these sizes, over and over.
class piecemeal {
 public:
  piecemeal(std::string all, std::vector<std::size_t> sizes)
      : all_(std::move(all)), sizes_(std::move(sizes)) {}

  std::size_t read(void* to, std::size_t n) {
    ++reads_;
    n = std::min({n, sizes_[at_size_++ % sizes_.size()], all_.size() - at_});
    std::memcpy(to, all_.data() + at_, n);
    at_ += n;
    return n;
  }

  std::size_t reads() const { return reads_; }

 private:
  std::string all_;
  std::vector<std::size_t> sizes_;
  std::size_t at_ = 0;
  std::size_t at_size_ = 0;
  std::size_t reads_ = 0;
};

struct endless {
  std::size_t read(void* to, std::size_t n) {
    std::memset(to, 'x', n);
    return n;
  }
};

TEST(ReadExactly, CollectsPieces) {
  piecemeal stream("hello, world", {1, 3});
  char bytes[5];
  weft::read_exactly(stream, bytes, 5);
  EXPECT_EQ(std::string(bytes, 5), "hello");
  std::array<char, 2> two;
  weft::read_exactly(stream, two);
  EXPECT_EQ(two[0], ',');
  EXPECT_EQ(weft::read_exactly(stream, 5), "world");
}

TEST(ReadExactly, OfNothingReadsNothing) {
  piecemeal stream("", {1});
  weft::read_exactly(stream, nullptr, 0);
  EXPECT_EQ(weft::read_exactly(stream, 0), "");
  EXPECT_EQ(stream.reads(), 0u);
}

TEST(ReadExactly, SaysHowMuchCameBeforeTheEnd) {
  piecemeal stream("abc", {2});
  char bytes[5];
  try {
    weft::read_exactly(stream, bytes, 5);
    ADD_FAILURE();
  } catch (const weft::eof_error& error) {
    EXPECT_STREQ(error.what(), "weft: the stream ended after 3 of 5 bytes");
  }
}

TEST(ReadExactly, OfAHugeNumberAllocatesOnlyWhatComes) {
  piecemeal stream("abc", {2});
  EXPECT_THROW(weft::read_exactly(stream, std::size_t{1} << 50), weft::eof_error);
}

TEST(ReadAll, ReturnsEverything) {
  const std::string all(100'000, 'y');
  piecemeal stream(all, {1, 4096, 70'000});
  EXPECT_EQ(weft::read_all(stream), all);
  EXPECT_EQ(weft::read_all(stream), "");
}

TEST(ReadAll, StopsAtItsLimit) {
  endless stream;
  try {
    weft::read_all(stream, 10'000);
    ADD_FAILURE();
  } catch (const weft::io_error& error) {
    EXPECT_EQ(error.code(), std::errc::message_size);
    EXPECT_STREQ(error.what(), "read_all(): more than 10000 bytes: Message too long");
  }
  piecemeal fits(std::string(10'000, 'z'), {3000});
  EXPECT_EQ(weft::read_all(fits, 10'000).size(), 10'000u);
}

TEST(ConstBuffer, IsMadeOfWhatHasBytes) {
  EXPECT_EQ(weft::const_buffer("text").size(), 4u);
  EXPECT_EQ(weft::const_buffer(std::string("text")).size(), 4u);
  const std::vector<unsigned char> bytes{1, 2, 3};
  EXPECT_EQ(weft::const_buffer(bytes).data(), bytes.data());
  EXPECT_EQ(weft::const_buffer(bytes.data(), 2).size(), 2u);
  static_assert(!std::is_constructible_v<weft::const_buffer, std::vector<int>>);
  static_assert(!std::is_constructible_v<weft::const_buffer, std::list<char>>);
}

}  // namespace
