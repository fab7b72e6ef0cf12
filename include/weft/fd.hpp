// Descriptors that the program owns: sockets, pipes, terminals, files, and those of C libraries
// that bring their own I/O. Nothing is kept of them between calls, so the program may ::close()
// them whenever no call is under way, and the flags of the open file stay as they are.
//
// For every call here:
// Cancellation: throws cancelled, before it has moved any bytes or while it waits for more.
// Throws: io_error naming the operation and the descriptor; std::logic_error outside a fiber.
#pragma once

#include <cstddef>
#include <utility>

#include <weft/detail/bytes.hpp>
#include <weft/detail/config.hpp>

namespace weft {

// Parks until a read (write) would not wait: because there are bytes (there is room), or the end of
// the stream, or an error to be told. Regular files are always ready. Any number of fibers may wait
// for one descriptor.
WEFT_API void wait_readable(int fd);
WEFT_API void wait_writable(int fd);

// Reads some bytes, at most n; 0 at the end, or if n is 0. Never blocks the thread, be the
// descriptor non-blocking or not; what a file does not have in memory is read by a thread of
// libuv's pool.
// Cancellation: no byte is lost.
WEFT_API std::size_t read(int fd, void* to, std::size_t n);

// Writes all n bytes. An error tells how many of them the system had taken.
// Cancellation: any part of the bytes may have been written.
WEFT_API void write(int fd, const void* from, std::size_t n);

template <class Bytes, class = detail::if_writable_bytes<Bytes>>
std::size_t read(int fd, Bytes&& into) {
  const detail::mutable_bytes room = detail::room_of(into);
  return read(fd, room.data, room.size);
}
template <class Bytes, class = detail::if_readable_bytes<Bytes>>
void write(int fd, Bytes&& from) {
  const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
  write(fd, bytes.data, bytes.size);
}

}  // namespace weft
