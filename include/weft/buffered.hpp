// Reading lines, and whatever else needs to look ahead.
//
//   weft::buffered_reader from(client);
//   while (auto line = from.read_line()) std::cout << *line << '\n';
//
// One fiber at a time uses a reader.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <weft/detail/bytes.hpp>
#include <weft/stream.hpp>

namespace weft {

// Reads from a stream in large pieces and hands out small ones; a stream itself, whose writes and
// close go straight to the one below. It refers to a stream that outlives it, or owns one that was
// moved into it. What it has read ahead is lost to others when it is destroyed.
//
// For every call that reads:
// Parks, Throws: as the stream does.   Cancellation: no byte is lost; a later call goes on.
template <class Stream>
class buffered_reader {
 public:
  // The longest line, or part up to a delimiter, that a peer may send.
  static constexpr std::size_t default_limit = 64 * 1024;

  explicit buffered_reader(Stream& from, std::size_t limit = default_limit) noexcept
      : from_(&from), limit_(limit) {}
  explicit buffered_reader(Stream&& from, std::size_t limit = default_limit)
      : own_(std::move(from)), limit_(limit) {}
  buffered_reader(buffered_reader&& other) noexcept(std::is_nothrow_move_constructible_v<Stream>)
      : own_(std::move(other.own_)),
        from_(other.from_),
        limit_(other.limit_),
        buffer_(std::move(other.buffer_)),
        room_(std::exchange(other.room_, 0)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}

  // Some bytes, at most n; 0 at the end, or if n is 0.
  std::size_t read(void* to, std::size_t n) {
    if (n == 0) return 0;
    if (begin_ == end_) {
      if (n >= least_room) return below().read(to, n);
      if (!fill()) return 0;
    }
    const std::size_t got = std::min(n, end_ - begin_);
    std::memcpy(to, &buffer_[begin_], got);
    begin_ += got;
    return got;
  }
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t read(Bytes&& into) {
    const detail::mutable_bytes room = detail::room_of(into);
    return read(room.data, room.size);
  }

  // The next line without its end, \n or \r\n; nothing at the end of the stream. A last line that
  // has no end counts.
  // Throws: io_error, std::errc::message_size, if it is longer than the limit; the bytes stay.
  std::optional<std::string> read_line() {
    const std::size_t most = limit_ < npos ? limit_ + 1 : limit_;  // with \r
    std::size_t length = find("\n", most, "read_line()");
    const bool ended = length != npos;
    if (!ended) length = end_ - begin_;
    if (!ended && length == 0) return std::nullopt;
    const bool with_return = ended && length > 0 && buffer_[begin_ + length - 1] == '\r';
    if (with_return) --length;
    if (length > limit_) detail::throw_too_long("read_line()", limit_);
    std::string line = take(length);
    if (ended) begin_ += with_return ? 2 : 1;
    return line;
  }

  // All up to and with the delimiter.
  // Throws: eof_error if the stream ends before; io_error, std::errc::message_size, if more than
  // the limit comes before it. In both cases the bytes stay.
  std::string read_until(std::string_view delimiter) {
    const std::size_t length = find(delimiter, limit_, "read_until()");
    if (length == npos) detail::throw_early_end(end_ - begin_, end_ - begin_ + 1);
    return take(length + delimiter.size());
  }
  std::string read_until(char delimiter) { return read_until(std::string_view(&delimiter, 1)); }

  // What has been read ahead and is still to be handed out; until the next call.
  std::string_view buffered() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }

  // Waits until at least n bytes are buffered, and shows them; fewer only at the end of the stream.
  // Throws: io_error, std::errc::message_size, if n is more than the limit.
  std::string_view peek(std::size_t n) {
    if (n > limit_) detail::throw_too_long("peek()", limit_);
    while (end_ - begin_ < n && fill()) continue;
    return buffered().substr(0, n);
  }

  // The stream below.
  void write(const void* from, std::size_t n) { below().write(from, n); }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void write(Bytes&& from) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    below().write(bytes.data, bytes.size);
  }
  void close() { below().close(); }
  Stream& below() noexcept { return own_ ? *own_ : *from_; }

  // The lines, one by one: for (const std::string& line : reader.lines()) ...
  class line_iterator;
  template <class Reader>
  class line_range;
  auto lines() & { return line_range<buffered_reader&>{*this}; }
  auto lines() && { return line_range<buffered_reader>{std::move(*this)}; }

 private:
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
  static constexpr std::size_t least_room = 4 * 1024;

  // Where the delimiter begins, counted from begin_; npos if the stream ends before.
  std::size_t find(std::string_view delimiter, std::size_t most, const char* operation) {
    for (std::size_t looked_at = 0;;) {
      const std::size_t at = buffered().find(delimiter, looked_at);
      const std::size_t there = end_ - begin_;
      if (at != std::string_view::npos && at <= most) return at;
      const bool too_many = there >= delimiter.size() && there - delimiter.size() >= most;
      if (at != std::string_view::npos || too_many) detail::throw_too_long(operation, limit_);
      if (there >= delimiter.size()) looked_at = there - delimiter.size() + 1;
      if (!fill()) {
        if (there > most) detail::throw_too_long(operation, limit_);
        return npos;
      }
    }
  }

  std::string take(std::size_t n) {
    std::string taken(&buffer_[begin_], n);
    begin_ += n;
    return taken;
  }

  // Reads more behind what is there; false at the end of the stream.
  bool fill() {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == room_ && begin_ > 0) {
      std::memmove(buffer_.get(), &buffer_[begin_], end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (end_ == room_) {
      const std::size_t more = std::max(least_room, 2 * room_);
      std::unique_ptr<char[]> larger(new char[more]);
      if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
      buffer_ = std::move(larger);
      room_ = more;
    }
    const std::size_t got = below().read(static_cast<void*>(&buffer_[end_]), room_ - end_);
    end_ += got;
    return got > 0;
  }

  std::optional<Stream> own_;
  Stream* from_ = nullptr;
  std::size_t limit_;
  std::unique_ptr<char[]> buffer_;
  std::size_t room_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Goes through the lines once.
template <class Stream>
class buffered_reader<Stream>::line_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = std::string;
  using difference_type = std::ptrdiff_t;
  using pointer = const std::string*;
  using reference = const std::string&;

  line_iterator() noexcept = default;  // the end
  explicit line_iterator(buffered_reader& from) : from_(&from) { ++*this; }

  reference operator*() const noexcept { return *line_; }
  pointer operator->() const noexcept { return &*line_; }
  line_iterator& operator++() {
    line_ = from_->read_line();
    return *this;
  }
  void operator++(int) { ++*this; }

  friend bool operator==(const line_iterator& a, const line_iterator& b) noexcept {
    return a.line_.has_value() == b.line_.has_value();
  }
  friend bool operator!=(const line_iterator& a, const line_iterator& b) noexcept {
    return !(a == b);
  }

 private:
  buffered_reader* from_ = nullptr;
  std::optional<std::string> line_;
};

template <class Stream>
template <class Reader>
class buffered_reader<Stream>::line_range {
 public:
  explicit line_range(Reader&& from) : from_(std::forward<Reader>(from)) {}
  line_iterator begin() { return line_iterator(from_); }
  line_iterator end() const noexcept { return line_iterator(); }

 private:
  Reader from_;
};

}  // namespace weft
