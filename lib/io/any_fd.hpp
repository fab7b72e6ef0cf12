// One read and one write of a descriptor that the program owns. Nothing is known of it but what
// each call tells. Called by fibers.
//
// (1) A socket is tried first, with a flag that forbids to wait; it is what most descriptors are.
// (2) Then whatever the kernel can read and write with RWF_NOWAIT: cached files, pipes, eventfds.
// (3) A file that would wait goes to libuv's pool.
// (4) Terminals and FIFOs are opened once more for the call, non-blocking, where that is sure to be
//     the same one and changes nothing for others.
// (5) What is left are rare devices, and those of (4) where it is not. Reading follows
// poll():
//     it could wait only if another reader came between. Writing goes to the pool, since room for
//     some bytes does not mean room for ours, and the one who makes room may be a fiber of this
//     thread; there, nothing can stop it.
// Rejected: O_NONBLOCK, which belongs to all who share the open file, other processes included.
#pragma once
#include <sys/types.h>

#include <cstddef>

namespace weft::detail {

// Some bytes, or -errno: -EAGAIN if it would have to wait. Parks: while a thread of the pool works.
// Throws: cancelled, before any byte was moved.
ssize_t read_any_fd(int fd, void* to, std::size_t n);
ssize_t write_any_fd(int fd, const void* from, std::size_t n);

}  // namespace weft::detail
