// Streams: what they are, and what works with all of them.
//
// A stream is any type with
//
//   std::size_t read(void* to, std::size_t n);      // some bytes, at least one; 0: the end
//   void write(const void* from, std::size_t n);    // all of them
//   void close();
//
// Those of weft take any contiguous container of bytes as well: std::string, std::vector<char>,
// std::array<std::byte, N>, C arrays; to write also std::string_view and text literals.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include <weft/detail/bytes.hpp>
#include <weft/detail/config.hpp>
#include <weft/error.hpp>

namespace weft {

// Bytes to be written by writev(), which others own.
class const_buffer {
 public:
  const_buffer(const void* data, std::size_t size) noexcept : bytes_{data, size} {}

  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  const_buffer(Bytes&& from) noexcept  // NOLINT: meant to convert
      : bytes_(detail::bytes_of(std::forward<Bytes>(from))) {}

  const void* data() const noexcept { return bytes_.data; }
  std::size_t size() const noexcept { return bytes_.size; }

 private:
  detail::const_bytes bytes_;
};

namespace detail {

class socket;
struct socket_closer {
  WEFT_API void operator()(socket* what) const noexcept;
};
using socket_owner = std::unique_ptr<socket, socket_closer>;

[[noreturn]] WEFT_API void throw_early_end(std::size_t got, std::size_t wanted);
[[noreturn]] WEFT_API void throw_too_long(const char* operation, std::size_t limit);

}  // namespace detail

// Reads exactly n bytes.
// Parks: until they have come.   Cancellation: throws cancelled; what had come is in `to`, but how
// much that is cannot be told.
// Throws: eof_error if the stream ends before; what the stream throws.
template <class Stream>
void read_exactly(Stream& from, void* to, std::size_t n) {
  auto* at = static_cast<unsigned char*>(to);
  for (std::size_t done = 0; done < n;) {
    const std::size_t got = from.read(static_cast<void*>(at + done), n - done);
    if (got == 0) detail::throw_early_end(done, n);
    done += got;
  }
}

// Fills the whole container.
template <class Stream, class Bytes, class = detail::if_writable_bytes<Bytes>>
void read_exactly(Stream& from, Bytes&& into) {
  const detail::mutable_bytes room = detail::room_of(into);
  read_exactly(from, room.data, room.size);
}

// Returns the next n bytes.
template <class Stream>
std::string read_exactly(Stream& from, std::size_t n) {
  constexpr std::size_t step = 64 * 1024;  // so that a huge n costs no more than what comes
  std::string bytes;
  while (bytes.size() < n) {
    const std::size_t done = bytes.size();
    bytes.resize(done + std::min(n - done, std::max(step, done)));
    const std::size_t got = from.read(static_cast<void*>(&bytes[done]), bytes.size() - done);
    if (got == 0) detail::throw_early_end(done, n);
    bytes.resize(done + got);
  }
  return bytes;
}

// Returns all that comes until the end of the stream.
// Throws: io_error, std::errc::message_size, if that is more than limit; what the stream throws.
template <class Stream>
std::string read_all(Stream& from, std::size_t limit = std::numeric_limits<std::size_t>::max()) {
  constexpr std::size_t least_room = 4 * 1024;
  std::string bytes;
  for (;;) {
    const std::size_t done = bytes.size();
    bytes.resize(done + std::max(least_room, done));
    const std::size_t got = from.read(static_cast<void*>(&bytes[done]), bytes.size() - done);
    bytes.resize(done + got);
    if (got == 0) return bytes;
    if (bytes.size() > limit) detail::throw_too_long("read_all()", limit);
  }
}

}  // namespace weft
