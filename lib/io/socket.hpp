// What stands behind every stream and listener: a watched descriptor and how to use it.
// Any fiber reads, writes, accepts and closes; a plain thread may close and destroy.
//
// (1) One fiber for each direction, by watch::enter(): the second is refused as busy.
// (2) may_be_ready belongs to the fiber that has entered the direction. It is false after a call
//     that moved less than it was asked to: then the next one waits at once, without a call that
//     would say EAGAIN. Nothing is missed by that, if the end of the stream has an event of its
//     own. The end of a pipe may come with its last bytes, as one event, and a Unix socket stops
//     short behind a message that carried descriptors: so these are read until they say EAGAIN.
// (3) Cancellation is delivered before a call moves bytes, or while none are moved: what was read
//     is always returned.
// (4) The flags of a descriptor that the program brought may be shared with other processes, as
//     those of a terminal are. They are left alone: such a descriptor is read and written as
//     any_fd.hpp says, and waits in the poll_set, where the watch only ends the wait on closing.
#pragma once
#include <sys/uio.h>

#include <memory>
#include <string>
#include <weft/address.hpp>
#include <weft/stream.hpp>

#include "io/budget.hpp"
#include "reactor/watch.hpp"

namespace weft::detail {

// How bytes get in and out: one system call, or what is as good. They return -errno.
struct stream_calls {
  ssize_t (*read)(int fd, void* to, std::size_t n);
  ssize_t (*write)(int fd, const void* from, std::size_t n);
  ssize_t (*write_pieces)(int fd, iovec* pieces, std::size_t count);  // null: one by one
  bool tells_end;  // events tell the end of the stream apart from bytes, see (2)
  bool shared;     // see (4)
};

extern const stream_calls of_sockets, of_unix_sockets, of_pipes, of_any_fd;

class socket : public watch {
 public:
  // Takes the descriptor over.
  socket(int fd, const address& peer) noexcept : watch(fd), remote(peer), calls(of_sockets) {}
  socket(int fd, std::string called, const stream_calls& by) noexcept
      : watch(fd), name(std::move(called)), calls(by) {}

  const address remote;    // of a listener: where it listens
  const std::string name;  // of what has no address
  const stream_calls& calls;
  bool may_be_ready[2] = {true, true};

  std::string whom() const { return name.empty() ? remote.to_string() : name; }
};

// The socket behind a stream; throws bad_file_descriptor if there is none.
socket& referred(socket* what, const char* verb);

// "cannot <verb> <whom>"
[[noreturn]] void throw_socket_error(int code, const char* verb, const std::string& whom);
[[noreturn]] inline void throw_socket_error(int code, const char* verb, const address& whom) {
  throw_socket_error(code, verb, whom.to_string());
}

// One direction of a socket, for the fiber that got it.
class direction_hold {
 public:
  // Throws: io_error if another fiber has it, or if the socket is closed.
  direction_hold(socket& of, direction which, const char* verb);
  ~direction_hold() { socket_.leave(which_); }
  direction_hold(const direction_hold&) = delete;
  direction_hold& operator=(const direction_hold&) = delete;

  int fd() const noexcept { return socket_.fd(); }
  bool& may_be_ready() noexcept { return socket_.may_be_ready[static_cast<unsigned>(which_)]; }

  // Parks until it is ready. Returns 0 or why it cannot be: closed meanwhile, or not watchable.
  int wait();

 private:
  socket& socket_;
  const direction which_;
  const char* const verb_;
};

// Any number of fibers at once, for calls that do not wait.
class socket_hold {
 public:
  socket_hold(socket& of, const char* verb);
  ~socket_hold() { socket_.leave(); }
  socket_hold(const socket_hold&) = delete;
  socket_hold& operator=(const socket_hold&) = delete;

  int fd() const noexcept { return socket_.fd(); }

 private:
  socket& socket_;
};

std::size_t read_socket(socket* from, void* to, std::size_t n);
void write_socket(socket* to, const const_buffer* pieces, std::size_t count);
void shutdown_socket(socket* of);
address local_address_of(socket* of);
int fd_of(socket* of) noexcept;  // -1 if there is none
void set_socket_option(socket* of, int level, int name, int value);

// Waits for the next connection and takes it.
socket_owner accept_on(socket* listener);

}  // namespace weft::detail
