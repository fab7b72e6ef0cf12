// What stands behind a tcp_stream and a tcp_listener: a watched descriptor and how to use it.
// Any fiber reads, writes, accepts and closes; a plain thread may close and destroy.
//
// (1) One fiber for each direction, by watch::enter(): the second is refused as busy.
// (2) may_be_ready belongs to the fiber that has entered the direction. It is false after a call
// that
//     moved less than it was asked to: then the next one waits at once, without a call that would
//     say EAGAIN. The watch is level-triggered, so nothing is missed by that.
// (3) Cancellation is delivered before a call moves bytes, or while none are moved: what was read
// is
//     always returned.
#pragma once
#include <sys/uio.h>

#include <memory>
#include <string>
#include <weft/address.hpp>
#include <weft/stream.hpp>

#include "io/budget.hpp"
#include "reactor/watch.hpp"

namespace weft::detail {

class socket final : public watch {
 public:
  // Takes the descriptor over.
  socket(int fd, const address& peer) noexcept : watch(fd), remote(peer) {}

  const address remote;  // of a listener: where it listens
  bool may_be_ready[2] = {true, true};
};

// The socket behind a stream; throws bad_file_descriptor if there is none.
socket& referred(socket* what, const char* verb);

// "cannot <verb> <address>"
[[noreturn]] void throw_socket_error(int code, const char* verb, const address& whom);
[[noreturn]] void throw_socket_error(int code, const char* verb, const address& whom,
                                     std::size_t done, std::size_t all);

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
