// Descriptors that the program owns: sockets, pipes, terminals, files, and those of C libraries
// that bring their own I/O. The functions keep nothing of them between calls, so the program may
// ::close() them whenever no call is under way. An fd_stream owns one. In both cases the flags of
// the open file, which other processes may share, stay as they are.
//
// For every call here:
// Cancellation: throws cancelled, before it has moved any bytes or while it waits for more.
// Throws: io_error naming the operation and the descriptor; std::logic_error outside a fiber.
#pragma once

#include <cstddef>
#include <utility>

#include <weft/detail/bytes.hpp>
#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

// Parks until a read (write) would not wait: because there are bytes (there is room), or the end of
// the stream, or an error to be told. Regular files are always ready. Any number of fibers may wait
// for one descriptor, in either direction; all of them wake, and the first to read may leave
// nothing to the others.
// Do not close a descriptor that is waited for: cancel the wait first. The system does not tell of
// it, so the wait goes on until it is cancelled, or fails with EBADF if the number is waited for
// again.
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

// A descriptor of any kind as a stream: a terminal, a pipe, a socket, a device, a file at its own
// position.
class WEFT_API fd_stream : public stream {
 public:
  fd_stream() noexcept = default;

  // Takes the descriptor over, and closes it in the end.   Threads: any.
  // Throws: io_error, std::errc::bad_file_descriptor, if it is not open; then it stays as it is.
  explicit fd_stream(int fd);

  // Whether a person may sit there.   Threads: any.
  bool is_terminal() const noexcept;

 private:
  friend struct detail::socket_access;
  using stream::stream;
};

// The standard streams of the process. Each call gives a stream of its own: closing it leaves the
// process's descriptor open. What std::cin has read ahead is not seen here, and what std::cout
// still holds comes out later. Throws: io_error, std::errc::too_many_files_open or
// bad_file_descriptor.
WEFT_API fd_stream standard_input();
WEFT_API fd_stream standard_output();
WEFT_API fd_stream standard_error();

}  // namespace weft
