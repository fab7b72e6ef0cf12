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

namespace weft::detail {

#if defined(WEFT_ASAN)
inline constexpr std::size_t sanitizer_stack_factor = 4;  // redzones: folly measured the same
#elif defined(WEFT_TSAN)
inline constexpr std::size_t sanitizer_stack_factor = 2;
#else
inline constexpr std::size_t sanitizer_stack_factor = 1;
#endif

}  // namespace weft::detail
