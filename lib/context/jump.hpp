// The bare jump from one stack to another: Boost.Context's, or on x86_64 our own.
// Included by switch.cpp alone. Callee-saved registers travel; nothing else does.
//
// (1) Ours leaves the floating-point control words to fp_control.hpp (yield: 21 to 17 ns).
// (2) No call and no return, also into a fresh stack: all jumps are indirect. A call would leave an
//     entry on the CPU's return stack that nothing pops, and then every return up the chain of the
//     resumed fiber is predicted wrongly (36 ns a yield against 22).
// (3) The stack of a context that waits begins with the address to go on at. That of a fresh one
//     also holds its entry function, which gets the data of the jump.
// (4) Under a sanitizer the jump is Boost's: speed is no matter there, and its ways are known.
// (5) Boost's keeps the words it finds and puts back those it found when the target left. So there
//     it gets the default ones to carry, and who arrives puts its own in place.
#pragma once
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>

#include "context/fp_control.hpp"
#include "context/sanitizer.hpp"

namespace weft::detail {

using entry_function = void (*)(void* data);

// Both versions:
//   jump_carries_fp                   whether (5) concerns it.
//   prepare_stack<entry>(top, bytes)  makes a fresh stack; returns where to go.
//   jump(left, to, data)              goes there, leaves in *left where to come back to, and
//                                     returns the data of the jump that came back.

#if defined(__x86_64__) && defined(__LP64__) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)
inline constexpr bool jump_carries_fp = false;

// For debuggers, unwinders and profilers.
#ifdef __GCC_HAVE_DWARF2_CFI_ASM
#define WEFT_CFI(text) text
#else
#define WEFT_CFI(text)
#endif

// The first frame of a stack: the end for who walks it.
__attribute__((naked, no_instrument_function)) inline void enter_stack() {
  asm(WEFT_CFI(".cfi_undefined rip\n\t")
      "xorl %ebp, %ebp\n\t"
      "popq %rax\n\t"
      "leaq 1f(%rip), %rcx\n\t"
      "pushq %rcx\n\t"
      "movq %rsi, %rdi\n\t"
      "jmpq *%rax\n\t"
      "nop\n"
      "1:\n\t"
      "ud2");
}

template <entry_function entry>
void* prepare_stack(void* top, std::size_t) noexcept {
  auto* at = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(top) & ~std::uintptr_t{15});
  *--at = reinterpret_cast<void*>(entry);
  *--at = reinterpret_cast<void*>(&enter_stack);
  return at;
}

// The 128 bytes step over the red zone. Who walks the stack from in between, as the handler of a
// profiler's signal does, must not go on: the stack pointer is not where the compiler believes.
inline void* jump(void** left, void* to, void* data) noexcept {
  asm volatile(
      WEFT_CFI(".cfi_remember_state\n\t.cfi_undefined rip\n\t")
      "leaq -128(%%rsp), %%rsp\n\t"
      "pushq %%rbp\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "movq %%rsp, (%0)\n\t"
      "movq %1, %%rsp\n\t"
      "popq %%rax\n\t"
      "jmpq *%%rax\n"
      "1:\n\t"
      "popq %%rbp\n\t"
      "leaq 128(%%rsp), %%rsp\n\t"
      WEFT_CFI(".cfi_restore_state")
      : "+D"(left), "+d"(to), "+S"(data)
      :
      : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
        "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15", "memory", "cc"
#ifdef __AVX512F__
        ,
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6",
        "k7"
#endif
  );
  return data;
}

#else

inline constexpr bool jump_carries_fp = true;

struct departure_note {  // in the frame that is left
  void** left;
  void* data;
};

WEFT_INLINE_SWITCHING inline void* arrive(boost::context::detail::transfer_t came) noexcept {
  const auto& note = *static_cast<departure_note*>(came.data);
  *note.left = came.fctx;
  return note.data;
}

template <entry_function entry>
void* prepare_stack(void* top, std::size_t bytes) noexcept {
  struct start {
    WEFT_SWITCHING static void here(boost::context::detail::transfer_t came) {
      entry(arrive(came));
    }
  };
  fp_control mine, carried;
  exchange_fp_control(mine, fp_control{});  // what make_fcontext finds, the context starts with
  void* const made = boost::context::detail::make_fcontext(top, bytes, &start::here);
  exchange_fp_control(carried, mine);
  return made;
}

WEFT_INLINE_SWITCHING inline void* jump(void** left, void* to, void* data) noexcept {
  departure_note note{left, data};
  return arrive(boost::context::detail::jump_fcontext(to, &note));
}

#endif

}  // namespace weft::detail
