// Pipes of our own: see socket.hpp for what stands behind them.
#include <weft/pipe.hpp>

#include "io/file_calls.hpp"
#include "io/pipe.hpp"
#include "io/socket.hpp"
#include "io/socket_calls.hpp"

namespace weft {
namespace detail {

socket_owner own_pipe_end(unique_fd fd, const char* name) {
  socket_owner made(new socket(fd.get(), name, of_pipes));
  fd.release();
  return made;
}

}  // namespace detail

pipe_ends make_pipe() {
  detail::begin_io("make_pipe()");
  int ends[2];
  if (const int error = detail::calls::make_pipe(ends))
    detail::throw_socket_error(error, "make", "a pipe");
  detail::unique_fd reader(ends[0]);
  detail::unique_fd writer(ends[1]);
  using detail::socket_access;
  return {socket_access::make<pipe_reader>(detail::own_pipe_end(std::move(reader), "a pipe")),
          socket_access::make<pipe_writer>(detail::own_pipe_end(std::move(writer), "a pipe"))};
}

}  // namespace weft
