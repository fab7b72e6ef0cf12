// Which checkers watch this build, and the calls by which they learn of a switch.
// Included by lib/context only; every other layer stays free of such conditionals.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif

#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef WEFT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)
#include <valgrind/valgrind.h>
#define WEFT_VALGRIND 1
#endif
#endif

// ThreadSanitizer keeps a shadow of each call stack. The function that tells it of a switch must
// not itself be instrumented, or its exit would be booked on the wrong shadow.
#if defined(WEFT_TSAN)
#if defined(__clang__)  // whose no_sanitize leaves the calls at entry and exit in place
#define WEFT_UNCHECKED no_sanitize("thread"), disable_sanitizer_instrumentation
#else
#define WEFT_UNCHECKED no_sanitize("thread")
#endif
#define WEFT_SWITCHING __attribute__((noinline, WEFT_UNCHECKED))
#define WEFT_INLINE_SWITCHING __attribute__((always_inline, WEFT_UNCHECKED))
#else
#define WEFT_SWITCHING __attribute__((noinline))
#define WEFT_INLINE_SWITCHING __attribute__((always_inline))
#endif

namespace weft::detail {

#if defined(WEFT_ASAN)
inline constexpr std::size_t sanitizer_stack_factor = 4;  // redzones: folly measured the same
#elif defined(WEFT_TSAN)
inline constexpr std::size_t sanitizer_stack_factor = 2;
#else
inline constexpr std::size_t sanitizer_stack_factor = 1;
#endif

}  // namespace weft::detail
