// The floating-point control words: rounding, masks, precision. A context has its own, as the ABI
// says of a call; whether the sticky flags stay with the thread or travel as well is open.
//
// Nearly all contexts use the same words, so a switch should cost as if there were none. Whoever
// leaves stores its own and puts the target's in place:
//   by loading them always, where that is slow only if a control bit changes (AMD: store and load
//   of MXCSR 6 ns; looking at what was just stored takes 9);
//   elsewhere by loading them only where they differ, since Intel's load is slow (52 ns against 3)
//   also if only a flag differs, and the flags differ after the first inexact result.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace weft::detail {

#if defined(__x86_64__)

struct fp_control {
  std::uint32_t mxcsr = 0x1f80;
  std::uint16_t x87 = 0x037f;
};

inline bool loads_of_mxcsr_are_cheap() noexcept {
  unsigned highest = 0, name[3];
  if (__get_cpuid(0, &highest, &name[0], &name[2], &name[1]) == 0) return false;
  return name[0] == signature_AMD_ebx || name[0] == 0x6f677948;  // "Hygo"
}
inline const bool load_mxcsr_always = loads_of_mxcsr_are_cheap();

inline constexpr std::uint32_t fp_flags = 0x3f;

// A flag of the x87 that the target has unmasked would spring a trap there, whoever has raised it.
// So it is taken off, and kept beside those of MXCSR, where std::fetestexcept() finds it as well.
// What the leaver itself wants to trap has its chance first.
inline void load_x87(fp_control& mine, std::uint16_t wanted) noexcept {
  std::uint16_t raised = 0;
  asm volatile("fwait\n\tfnstsw %0" : "=m"(raised));
  if ((raised & ~std::uint32_t{wanted} & fp_flags) != 0) {
    asm volatile("fnclex");
    mine.mxcsr |= raised & fp_flags;
  }
  asm volatile("fldcw %0" : : "m"(wanted));
}

inline void exchange_fp_control(fp_control& mine, const fp_control& wanted) noexcept {
  asm volatile("stmxcsr %0" : "=m"(mine.mxcsr));
  asm volatile("fnstcw %0" : "=m"(mine.x87));
  const bool load_mxcsr = load_mxcsr_always || ((mine.mxcsr ^ wanted.mxcsr) & ~fp_flags) != 0;
  if (mine.x87 != wanted.x87) load_x87(mine, wanted.x87);
  if (load_mxcsr) asm volatile("ldmxcsr %0" : : "m"(wanted.mxcsr));
}

#elif defined(__aarch64__)

struct fp_control {
  std::uint64_t fpcr = 0;
};

inline void exchange_fp_control(fp_control& mine, const fp_control& wanted) noexcept {
  asm volatile("mrs %0, fpcr" : "=r"(mine.fpcr));
  if (mine.fpcr != wanted.fpcr) asm volatile("msr fpcr, %0" : : "r"(wanted.fpcr));
}

#else  // what the switch of Boost.Context carries

struct fp_control {};
inline void exchange_fp_control(fp_control&, const fp_control&) noexcept {}

#endif

}  // namespace weft::detail
