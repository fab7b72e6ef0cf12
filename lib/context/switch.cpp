// See switch.hpp for the rules.
#include "context/switch.hpp"

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>
#include <cstring>

#include "context/sanitizer.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
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
namespace fctx = boost::context::detail;

namespace {

#if defined(__x86_64__)

constexpr std::uint32_t mxcsr_sticky = 0x3f;  // exception flags; the rest is control
constexpr std::uint32_t mxcsr_default = 0x1f80;
constexpr std::uint16_t x87_default = 0x037f;

std::uint16_t x87_word() noexcept {
  std::uint16_t word = 0;
  asm volatile("fnstcw %0" : "=m"(word));
  return word;
}

void set_x87_word(std::uint16_t word) noexcept { asm volatile("fldcw %0" : : "m"(word)); }

// jump_fcontext restores MXCSR, which is slow whenever the value changes, and the sticky flags
// change with the first inexact result. The ABI preserves only the control bits, so we put the
// current value into the target's saved image when those agree. That needs to know where the image
// has it: at offset 0, with the x87 word behind it, in every Boost from 1.61 to at least 1.81.
// Asked of the Boost that is linked, once, with a value nothing else would leave there.
bool image_layout_is_known() noexcept {
  alignas(16) static char probe_stack[1024];
  const std::uint32_t before = _mm_getcsr();
  const std::uint32_t odd = mxcsr_default | 0x6000;  // round towards zero
  _mm_setcsr(odd);
  void* image = fctx::make_fcontext(probe_stack + sizeof probe_stack, sizeof probe_stack,
                                    [](fctx::transfer_t) { std::abort(); });
  _mm_setcsr(before);
  std::uint32_t mxcsr = 0;
  std::uint16_t x87 = 0;
  std::memcpy(&mxcsr, image, sizeof mxcsr);
  std::memcpy(&x87, static_cast<char*>(image) + 4, sizeof x87);
  return (mxcsr & ~mxcsr_sticky) == odd && x87 == x87_word();
}

const bool fp_image_known = image_layout_is_known();

inline void match_fp_image(void* image) noexcept {
  if (!fp_image_known) return;
  std::uint32_t saved = 0;
  std::memcpy(&saved, image, sizeof saved);
  const std::uint32_t now = _mm_getcsr();
  if (((saved ^ now) & ~mxcsr_sticky) == 0) std::memcpy(image, &now, sizeof now);
}

void set_default_fp() noexcept {
  if ((_mm_getcsr() & ~mxcsr_sticky) != mxcsr_default) _mm_setcsr(mxcsr_default);
  if (x87_word() != x87_default) set_x87_word(x87_default);
}

inline void save_fp(context&) noexcept {}
inline void restore_fp(const context&) noexcept {}

#elif defined(__aarch64__)

inline std::uint64_t read_fpcr() noexcept {
  std::uint64_t word = 0;
  asm volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
inline void write_fpcr(std::uint64_t word) noexcept { asm volatile("msr fpcr, %0" : : "r"(word)); }

inline void match_fp_image(void*) noexcept {}
void set_default_fp() noexcept {
  if (read_fpcr() != 0) write_fpcr(0);
}
inline void save_fp(context& self) noexcept { self.fpcr = read_fpcr(); }
inline void restore_fp(const context& self) noexcept {
  if (read_fpcr() != self.fpcr) write_fpcr(self.fpcr);
}

#else
inline void match_fp_image(void*) noexcept {}
void set_default_fp() noexcept {}
inline void save_fp(context&) noexcept {}
inline void restore_fp(const context&) noexcept {}
#endif

#if defined(__x86_64__) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)

// Enters jump_fcontext by a jump with the return address pushed by hand. A call would leave an
// entry on the CPU's return stack that nothing pops, since jump_fcontext leaves by an indirect
// jump: then every return up the chain of the resumed fiber is predicted wrongly (yield: 36 ns
// against 22). The 128 bytes step over the red zone. Callee-saved registers are jump_fcontext's
// business.
inline fctx::transfer_t jump(void* to, void* data) noexcept {
  void* from = nullptr;
  void* back = nullptr;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "jmp jump_fcontext@PLT\n"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "=&a"(from), "=&d"(back), "+D"(to), "+S"(data)
      :
      : "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
        "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc"
#ifdef __AVX512F__
        ,
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",
        "k7"
#endif
  );
  return {from, back};
}

#else
WEFT_INLINE_SWITCHING inline fctx::transfer_t jump(void* to, void* data) noexcept {
  return fctx::jump_fcontext(to, data);
}
#endif

inline eh_state* this_threads_eh() noexcept {
  return reinterpret_cast<eh_state*>(abi::__cxa_get_globals());
}

#ifdef WEFT_ASAN
void asan_leave(void** fake_stack, const context& target) noexcept {
  __sanitizer_start_switch_fiber(fake_stack, target.bottom, target.bytes);
}
void asan_arrive(void* fake_stack, context& from) noexcept {
  __sanitizer_finish_switch_fiber(fake_stack, &from.bottom, &from.bytes);
}
#endif

}  // namespace

thread_side::thread_side() noexcept : eh_(this_threads_eh()) {}

void thread_side::bind_to_this_thread() noexcept { eh_ = this_threads_eh(); }

// Befriended by thread_side so that the plain entry function can read who jumped.
struct context_entry {
  WEFT_SWITCHING static void run(fctx::transfer_t arrived) {
    auto& here = *static_cast<thread_side*>(arrived.data);
    here.from_->sp = arrived.fctx;
#ifdef WEFT_ASAN
    asan_arrive(nullptr, *here.from_);
#endif
    *here.eh_ = here.to_->eh;
    set_default_fp();
    leave_for_good(here.to_->main(here));
  }

  // Part of run(), so that the chain of calls is as deep as it was when the context was entered:
  // the CPU's return stack then fits whoever runs next. run() itself cannot return: that would end
  // the process with status 0.
  [[noreturn]] WEFT_INLINE_SWITCHING static void leave_for_good(departure to) noexcept {
    thread_side& here = *to.here;
    here.from_ = &here.discarded_;
    here.to_ = to.target;
    match_fp_image(to.target->sp);
#ifdef WEFT_ASAN
    asan_leave(nullptr, *to.target);
#endif
#ifdef WEFT_TSAN
    __tsan_switch_to_fiber(to.target->tsan, 0);
#endif
    jump(to.target->sp, &here);
    std::abort();
  }
};

namespace {
void describe_to_sanitizers(context& fresh, stack& on) noexcept {
#ifdef WEFT_TSAN
  fresh.tsan = on.tsan;
#endif
#ifdef WEFT_ASAN
  fresh.bottom = on.limit();
  fresh.bytes = on.usable();
#endif
  static_cast<void>(fresh);
  static_cast<void>(on);
}

}  // namespace

void make_context(context& fresh, stack& on, context_main main) noexcept {
#ifdef WEFT_ASAN
  // The frames in which the last context on this stack was left never gave up their redzones.
  __asan_unpoison_memory_region(on.limit(), on.usable());
#endif
  fresh.sp = fctx::make_fcontext(on.top(), on.usable(), &context_entry::run);
  fresh.eh = eh_state{};
  fresh.main = main;
  describe_to_sanitizers(fresh, on);
}

void adopt_context(context& fresh, stack& on) noexcept {
  describe_to_sanitizers(fresh, on);
  set_default_fp();
}

WEFT_SWITCHING thread_side* switch_to(context& self, context& target, thread_side& here) noexcept {
  here.from_ = &self;
  here.to_ = &target;
  self.eh = *here.eh_;
  save_fp(self);
  match_fp_image(target.sp);
#ifdef WEFT_ASAN
  asan_leave(&self.fake_stack, target);
#endif
#ifdef WEFT_TSAN
  self.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(target.tsan, 0);
#endif
  const fctx::transfer_t arrived = jump(target.sp, &here);
  auto* now = static_cast<thread_side*>(arrived.data);
  now->from_->sp = arrived.fctx;
#ifdef WEFT_ASAN
  asan_arrive(self.fake_stack, *now->from_);
#endif
  *now->eh_ = self.eh;
  restore_fp(self);
  return now;
}

}  // namespace weft::detail
