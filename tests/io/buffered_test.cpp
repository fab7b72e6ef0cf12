// Readers that look ahead, tried on streams that are made up.
#include <weft/buffered.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

// Gives a text in pieces of this size, and can fail in between.
class pieces {
 public:
  explicit pieces(std::string all, std::size_t size = 3) : all_(std::move(all)), size_(size) {}

  std::size_t read(void* to, std::size_t n) {
    if (at_ == fails_at) {
      fails_at = all_.size() + 1;
      throw weft::io_error(std::make_error_code(std::errc::connection_reset), "made up");
    }
    n = std::min({n, size_, all_.size() - at_});
    std::memcpy(to, all_.data() + at_, n);
    at_ += n;
    return n;
  }
  void write(const void* from, std::size_t n) { written.append(static_cast<const char*>(from), n); }
  void close() { closed = true; }

  std::string written;
  bool closed = false;
  std::size_t fails_at = static_cast<std::size_t>(-1);

 private:
  std::string all_;
  std::size_t size_;
  std::size_t at_ = 0;
};

std::vector<std::string> all_lines(const std::string& text, std::size_t size) {
  std::vector<std::string> lines;
  for (const std::string& line : weft::buffered_reader(pieces(text, size)).lines())
    lines.push_back(line);
  return lines;
}

using lines = std::vector<std::string>;

TEST(Lines, EndWithNewlineOrWithBothOrWithTheStream) {
  for (std::size_t size : {1u, 2u, 3u, 100u}) {
    EXPECT_EQ(all_lines("one\ntwo\r\n\nlast", size), (lines{"one", "two", "", "last"}));
    EXPECT_EQ(all_lines("one\n", size), lines{"one"});
    EXPECT_EQ(all_lines("\n", size), lines{""});
    EXPECT_EQ(all_lines("", size), lines{});
    EXPECT_EQ(all_lines("a\rb\r\n\r", size), (lines{"a\rb", "\r"}));
  }
}

TEST(Lines, LongerThanTheRoomAreWhole) {
  const std::string longer(50'000, 'x');
  EXPECT_EQ(all_lines(longer + "\n" + longer, 777), (lines{longer, longer}));
}

TEST(Lines, LongerThanTheLimitAreRefusedAndStay) {
  pieces from(std::string(11, 'x') + "\nrest\n");
  weft::buffered_reader reader(from, 10);
  for (int twice = 0; twice < 2; ++twice) {
    try {
      reader.read_line();
      FAIL() << "no error";
    } catch (const weft::io_error& error) {
      EXPECT_EQ(error.code(), std::errc::message_size);
    }
  }
  char bytes[12];
  weft::read_exactly(reader, bytes);
  EXPECT_EQ(std::string(bytes, 12), "xxxxxxxxxxx\n");
  EXPECT_EQ(reader.read_line(), "rest");
  EXPECT_EQ(reader.read_line(), std::nullopt);
}

TEST(Lines, OfExactlyTheLimitPass) {
  for (std::size_t size : {1u, 5u, 100u}) {
    weft::buffered_reader reader(pieces("0123456789\n0123456789\r\n0123456789", size), 10);
    EXPECT_EQ(reader.read_line(), "0123456789");
    EXPECT_EQ(reader.read_line(), "0123456789");
    EXPECT_EQ(reader.read_line(), "0123456789");
  }
}

TEST(Lines, MayBeWithoutALimit) {
  weft::buffered_reader reader(pieces("one\n"), static_cast<std::size_t>(-1));
  EXPECT_EQ(reader.read_line(), "one");
}

TEST(Lines, OfAnEndlessPeerTakeNoMoreThanTheLimit) {
  pieces from(std::string(10'000'000, 'x'), 1'000'000);
  weft::buffered_reader reader(from, 100'000);
  EXPECT_THROW(reader.read_line(), weft::io_error);
  EXPECT_LT(reader.buffered().size(), 300'000u);
}

TEST(Lines, GoOnAfterAFailure) {
  pieces from("first\n");
  from.fails_at = 3;
  weft::buffered_reader reader(from);
  EXPECT_THROW(reader.read_line(), weft::io_error);
  EXPECT_EQ(reader.read_line(), "first");
}

TEST(ReadUntil, KeepsTheDelimiterAndWhatFollows) {
  for (std::size_t size : {1u, 2u, 100u}) {
    weft::buffered_reader reader(pieces("key: value\r\n\r\nbody", size));
    EXPECT_EQ(reader.read_until(':'), "key:");
    EXPECT_EQ(reader.read_until("\r\n\r\n"), " value\r\n\r\n");
    EXPECT_EQ(weft::read_all(reader), "body");
  }
}

TEST(ReadUntil, TellsAStreamThatEndsBefore) {
  weft::buffered_reader reader(pieces("no end"));
  EXPECT_THROW(reader.read_until('\n'), weft::eof_error);
  EXPECT_EQ(reader.buffered(), "no end");
}

TEST(ReadUntil, OfPlainStreamsReadsNothingBehindIt) {
  pieces from("a--b--c", 7);
  EXPECT_EQ(weft::read_until(from, "--"), "a--");
  EXPECT_EQ(weft::read_until(from, '-'), "b-");
  EXPECT_THROW(weft::read_until(from, "--"), weft::eof_error);
  pieces endless(std::string(100, 'x'));
  EXPECT_THROW(weft::read_until(endless, '\n', 10), weft::io_error);
}

TEST(BufferedReader, PeeksWithoutTaking) {
  weft::buffered_reader reader(pieces("hello", 1));
  EXPECT_EQ(reader.peek(2), "he");
  EXPECT_EQ(reader.peek(9), "hello");
  EXPECT_EQ(weft::read_exactly(reader, 5), "hello");
  EXPECT_EQ(reader.peek(1), "");
  EXPECT_THROW(reader.peek(1'000'000), weft::io_error);
}

TEST(BufferedReader, IsAStreamItself) {
  pieces below("0123456789", 4);
  weft::buffered_reader reader(below);
  EXPECT_EQ(reader.read(nullptr, 0), 0u);
  EXPECT_EQ(reader.peek(2), "01");
  pieces to("");
  EXPECT_EQ(weft::copy(reader, to), 10u);
  EXPECT_EQ(to.written, "0123456789");
  reader.write("answer");
  reader.close();
  EXPECT_EQ(below.written, "answer");
  EXPECT_TRUE(below.closed);
}

TEST(BufferedReader, KeepsWhatItHasReadWhenMoved) {
  weft::buffered_reader reader(pieces("one\ntwo\n", 100));
  EXPECT_EQ(reader.read_line(), "one");
  weft::buffered_reader moved(std::move(reader));
  EXPECT_EQ(moved.read_line(), "two");
  EXPECT_EQ(reader.buffered(), "");  // NOLINT(bugprone-use-after-move)
}

}  // namespace
