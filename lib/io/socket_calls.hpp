// System calls on sockets, and on descriptors of unknown kind, as functions that return -errno.
// Called by fibers; none of them blocks. See file_calls.hpp for why they stand out of line.
#pragma once
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

#include "reactor/loop.hpp"

namespace weft::detail {

// A socket address as the system wants it.
struct raw_address {
  sockaddr_storage bytes{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&bytes); }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&bytes); }
};

namespace calls {

// Sockets and pipes are made non-blocking and close-on-exec.
int open_socket(int family, int type) noexcept;
int accept(int fd, raw_address& from) noexcept;
int connect(int fd, const raw_address& to) noexcept;
int bind(int fd, const raw_address& to) noexcept;
int listen(int fd, int backlog) noexcept;
int shutdown_write(int fd) noexcept;
int local_name(int fd, raw_address& out) noexcept;
int peer_name(int fd, raw_address& out) noexcept;
int set_option(int fd, int level, int name, int value) noexcept;
int pending_error(int fd) noexcept;  // takes it off the socket

int make_pipe(int (&ends)[2]) noexcept;  // to read, to write
int make_socket_pair(int (&ends)[2]) noexcept;

struct peer_process {
  int process = 0;
  unsigned user = 0;
  unsigned group = 0;
};
int peer_credentials(int fd, peer_process& out) noexcept;  // of a Unix socket

// -EAGAIN instead of waiting, whatever the flags of the descriptor; never SIGPIPE.
ssize_t receive(int fd, void* to, std::size_t n) noexcept;
ssize_t send(int fd, const void* from, std::size_t n) noexcept;
ssize_t send_pieces(int fd, iovec* pieces, std::size_t count) noexcept;

// One writev(); for pipes of ours, which are non-blocking.
ssize_t write_pieces(int fd, const iovec* pieces, std::size_t count) noexcept;

// The same for descriptors that are not sockets, at their own position. -EOPNOTSUPP if the kernel
// cannot promise not to wait.
ssize_t read_now(int fd, void* to, std::size_t n) noexcept;
ssize_t write_now(int fd, const void* from, std::size_t n) noexcept;

// 1 if a call in this direction would not wait just now, else 0.
int ready_now(int fd, direction which) noexcept;

bool is_file(int fd) noexcept;  // has offsets: a regular file, a block device, a directory
bool is_nonblocking(int fd) noexcept;

// The terminal or FIFO behind the descriptor, opened once more, non-blocking: the flags of the
// first stay as they are. -EOPNOTSUPP if it is something else or cannot be had, -EPIPE for a FIFO
// that nobody reads.
int open_again(int fd, direction which) noexcept;

bool is_open(int fd) noexcept;
bool is_terminal(int fd) noexcept;

}  // namespace calls
}  // namespace weft::detail
