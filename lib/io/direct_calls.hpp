// How system calls are made: again if a signal interrupted them, and the frequent ones by syscall()
// where they may. Included by the files of calls only.
//
// libc makes each that may block a cancellation point. That costs two locked instructions, about
// 30 ns, once there is a second thread; and nobody may cancel a worker's thread anyway.
#pragma once

#include <cerrno>

#include "context/sanitizer.hpp"

// On 64 bits, where an offset is one argument. Sanitizers have to see the call.
#if defined(__linux__) && defined(__LP64__) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)
#include <sys/syscall.h>
#include <unistd.h>
#define WEFT_DIRECT_CALLS 1
#else
#define WEFT_DIRECT_CALLS 0
#endif

namespace weft::detail::calls {

// The result, or -errno.
template <class Call>
auto repeat(Call call) noexcept -> decltype(call()) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    const int error = errno;
    if (error != EINTR) return -error;
  }
}

}  // namespace weft::detail::calls
