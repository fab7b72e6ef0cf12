// Checks of the library's own invariants. A failed one is a bug in weft, never a user's mistake:
// mistakes of the caller are reported by exceptions (see error.hpp).
#pragma once
#include <cstdio>
#include <cstdlib>

namespace weft::detail {

[[noreturn]] inline void assert_failed(const char* what, const char* file, int line) noexcept {
  std::fprintf(stderr, "weft: broken invariant: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace weft::detail

// Always on: these guard memory safety and cost a compare on paths that are not hot.
#define WEFT_CHECK(condition)                                        \
  do {                                                               \
    if (__builtin_expect(!(condition), 0))                           \
      ::weft::detail::assert_failed(#condition, __FILE__, __LINE__); \
  } while (0)

#ifdef NDEBUG
#define WEFT_ASSERT(condition) ((void)0)
#else
#define WEFT_ASSERT(condition) WEFT_CHECK(condition)
#endif
