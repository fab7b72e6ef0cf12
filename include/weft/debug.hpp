// Looking into a program that hangs.
#pragma once

#include <iosfwd>

#include <weft/detail/config.hpp>

namespace weft {

// Writes one line for every live fiber: id, name, whether it is parked, what it waits for and since
// when, and the address it was spawned from. Inside a fiber, of its runtime; on a plain thread, of
// all runtimes of the process. Fibers go on meanwhile, so it is not one moment. Never parks.
//
//   fiber 1 "main": parked in join for 1.20 s, spawned at 0x55d0c0ffee00
//
// Threads: any, but not a signal handler.
WEFT_API void dump_fibers(std::ostream& to);

}  // namespace weft
