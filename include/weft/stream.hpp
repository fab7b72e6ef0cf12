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
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
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

// How the library makes streams and listeners, and reaches what they keep private.
struct socket_access {
  template <class Listener>
  static socket* of(Listener& listener) noexcept {
    return listener.socket_.get();
  }
  template <class Stream>
  static Stream make(socket_owner socket) noexcept {
    return Stream(std::move(socket));
  }
};

// What listeners of all kinds have in common.
class WEFT_API listener {
 public:
  listener() noexcept = default;

  // Stops listening; who accepts meanwhile gets std::errc::operation_canceled. Otherwise as
  // stream::close().
  void close() noexcept;

  int fd() const noexcept;  // as stream::fd()
  explicit operator bool() const noexcept;

 protected:
  friend struct socket_access;
  explicit listener(socket_owner socket) noexcept : socket_(std::move(socket)) {}

  socket_owner socket_;
};

[[noreturn]] WEFT_API void throw_early_end(std::size_t got, std::size_t wanted);
[[noreturn]] WEFT_API void throw_too_long(const char* operation, std::size_t limit);

}  // namespace detail

// An open stream of any kind: a tcp_stream, a unix_stream, an fd_stream; a function that takes a
// stream& works with all of them. Movable, also from one of those; closed when destroyed.
// One fiber may read while another writes; a second reader or writer gets an io_error,
// std::errc::device_or_resource_busy. A peer that is gone is an io_error, never a SIGPIPE.
//
// For every call here, unless it says something else:
// Cancellation: throws cancelled, before it has moved any bytes or while it waits for more. That is
//   so for deadlines, too.
// Throws: io_error naming the operation and the peer; std::logic_error outside a fiber. On what
//   was closed, moved from or default-made the error is std::errc::bad_file_descriptor.
class WEFT_API stream {
 public:
  stream() noexcept = default;

  // Reads what has come, at most n bytes; 0 at the end of the stream, or if n is 0.
  // Parks: until something has come.   Cancellation: no byte is lost.
  std::size_t read(void* to, std::size_t n);

  // Writes all n bytes. An error tells how many of them the system had taken.
  // Parks: while the peer does not read.
  // Cancellation: what the system had taken by then, any part of the bytes, will be sent.
  void write(const void* from, std::size_t n);

  // The same for containers of bytes: reads fill up to their size, which stays as it is; a text
  // literal is written without its NUL.
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t read(Bytes&& into) {
    const detail::mutable_bytes room = detail::room_of(into);
    return read(room.data, room.size);
  }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void write(Bytes&& from) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    write(bytes.data, bytes.size);
  }

  // Writes several buffers as if they were one: client.writev({header, body}).
  void writev(const const_buffer* buffers, std::size_t count);
  void writev(std::initializer_list<const_buffer> buffers) {
    writev(buffers.begin(), buffers.size());
  }

  // Tells the peer that no more will come; reading goes on. Only sockets can.
  // Never parks.   Threads: any.
  void shutdown_write();

  // Closes the stream. Who reads or writes meanwhile gets std::errc::operation_canceled. In a
  // fiber it returns when the descriptor is closed, elsewhere it may be before. Closing again, or
  // what was never open, does nothing.   Cancellation: ignored.   Threads: any.
  void close() noexcept;

  // The descriptor, for options that have no call here; -1 if there is none. It stays ours: do not
  // close it, and do not let it block.
  int fd() const noexcept;

  // Whether it is open.
  explicit operator bool() const noexcept;

 protected:
  friend struct detail::socket_access;
  explicit stream(detail::socket_owner socket) noexcept : socket_(std::move(socket)) {}

  detail::socket_owner socket_;
};

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

// Returns all that comes until the end of the stream. Cancellation: what had come is lost.
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

// Returns all up to and with the delimiter, and reads nothing behind it.
// That takes a system call for each byte: for more than a line now and then use a buffered_reader.
// Cancellation: what had come is lost.   Throws: eof_error if the stream ends before; io_error,
// std::errc::message_size, if more than limit bytes come before it; what the stream throws.
template <class Stream>
std::string read_until(Stream& from, std::string_view delimiter, std::size_t limit = 64 * 1024) {
  std::string bytes;
  for (;;) {
    const std::size_t n = bytes.size();
    if (n >= delimiter.size() && bytes.compare(n - delimiter.size(), n, delimiter) == 0)
      return bytes;
    if (n >= delimiter.size() && n - delimiter.size() >= limit)
      detail::throw_too_long("read_until()", limit);
    char next = 0;
    if (from.read(static_cast<void*>(&next), 1) == 0) detail::throw_early_end(n, n + 1);
    bytes.push_back(next);
  }
}
template <class Stream>
std::string read_until(Stream& from, char delimiter, std::size_t limit = 64 * 1024) {
  return read_until(from, std::string_view(&delimiter, 1), limit);
}

// Writes to one stream all that comes from the other, until that ends; returns how many bytes.
// Neither is closed. Cancellation: at most 64 KiB that were read may not have been written.
// Throws: what the streams throw.
template <class From, class To>
std::uint64_t copy(From& from, To& to) {
  constexpr std::size_t room = 64 * 1024;
  const std::unique_ptr<char[]> bytes(new char[room]);
  for (std::uint64_t all = 0;;) {
    const std::size_t got = from.read(static_cast<void*>(bytes.get()), room);
    if (got == 0) return all;
    to.write(static_cast<const void*>(bytes.get()), got);
    all += got;
  }
}

}  // namespace weft

#include <weft/buffered.hpp>  // IWYU pragma: export
