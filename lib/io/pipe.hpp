// Ends of pipes as streams, for pipes of processes as well.
#pragma once
#include <weft/stream.hpp>

#include "io/file_calls.hpp"

namespace weft::detail {

// The descriptor must be non-blocking. `name` is for errors: "cannot read from <name>".
socket_owner own_pipe_end(unique_fd fd, const char* name);

}  // namespace weft::detail
