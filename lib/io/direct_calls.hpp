// Whether frequent system calls may be made by syscall(). Included by the files of calls only.
//
// libc makes each that may block a cancellation point. That costs two locked instructions, about
// 30 ns, once there is a second thread; and nobody may cancel a worker's thread anyway.
#pragma once

#include "context/sanitizer.hpp"

// On 64 bits, where an offset is one argument. Sanitizers have to see the call.
#if defined(__linux__) && defined(__LP64__) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)
#include <sys/syscall.h>
#include <unistd.h>
#define WEFT_DIRECT_CALLS 1
#else
#define WEFT_DIRECT_CALLS 0
#endif
