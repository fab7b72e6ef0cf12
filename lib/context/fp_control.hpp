// The floating-point control words: rounding, masks, precision. A context has its own, as the ABI
// says of a call; the sticky flags belong to the thread.
//
// Loading them is slow and nearly always pointless, since nearly all contexts use the same ones.
// So the leaver reads its own, and loads the target's only where they differ.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace weft::detail {

#if defined(__x86_64__)

// MXCSR without its flags, and above it the control word of the x87.
using fp_control = std::uint64_t;
inline constexpr std::uint32_t mxcsr_flags = 0x3f;
inline constexpr fp_control fp_default = std::uint64_t{0x037f} << 32 | 0x1f80;

inline fp_control read_fp_control() noexcept {
  std::uint16_t x87 = 0;
  asm volatile("fnstcw %0" : "=m"(x87));
  return std::uint64_t{x87} << 32 | (_mm_getcsr() & ~mxcsr_flags);
}

inline void load_fp_control(fp_control wanted) noexcept {
  const auto x87 = static_cast<std::uint16_t>(wanted >> 32);
  asm volatile("fldcw %0" : : "m"(x87));
  _mm_setcsr(static_cast<std::uint32_t>(wanted) | (_mm_getcsr() & mxcsr_flags));
}

#elif defined(__aarch64__)

using fp_control = std::uint64_t;
inline constexpr fp_control fp_default = 0;

inline fp_control read_fp_control() noexcept {
  fp_control word = 0;
  asm volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
inline void load_fp_control(fp_control wanted) noexcept {
  asm volatile("msr fpcr, %0" : : "r"(wanted));
}

#else  // what the switch of Boost.Context carries

using fp_control = std::uint64_t;
inline constexpr fp_control fp_default = 0;
inline fp_control read_fp_control() noexcept { return fp_default; }
inline void load_fp_control(fp_control) noexcept {}

#endif

// Once for each switch: keeps the current words in `mine`, and sees that `wanted` hold from now on.
inline void exchange_fp_control(fp_control& mine, fp_control wanted) noexcept {
  mine = read_fp_control();
  if (mine != wanted) load_fp_control(wanted);
}

}  // namespace weft::detail
