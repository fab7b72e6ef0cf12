// See switch.hpp for the rules.
#include "context/switch.hpp"

#include <cxxabi.h>

#include <cstdlib>

#include "context/jump.hpp"
#include "context/sanitizer.hpp"

namespace weft::detail {
namespace {

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

// Befriended by thread_side.
struct switching {
  // All that the target needs is put in place by the one who leaves: it need not do anything when
  // it arrives.
  WEFT_INLINE_SWITCHING static thread_side* leave(context& self, context& target, thread_side& here,
                                                  [[maybe_unused]] bool for_good) noexcept {
    here.to_ = &target;
    self.eh = *here.eh_;
    *here.eh_ = target.eh;
    exchange_fp_control(self.fp, jump_carries_fp ? fp_control{} : target.fp);
#ifdef WEFT_ASAN
    here.from_ = &self;
    void* fake_stack = nullptr;  // for use-after-return: of the frames here, and found here again
    asan_leave(for_good ? nullptr : &fake_stack, target);
#endif
#ifdef WEFT_TSAN
    self.tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(target.tsan, 0);
#endif
    auto* now = static_cast<thread_side*>(jump(&self.sp, target.sp, &here));
#ifdef WEFT_ASAN
    asan_arrive(fake_stack, *now->from_);
#endif
    if (fp_control carried; jump_carries_fp) exchange_fp_control(carried, self.fp);
    return now;
  }

  WEFT_SWITCHING static void run(void* data) {
    auto& here = *static_cast<thread_side*>(data);
#ifdef WEFT_ASAN
    asan_arrive(nullptr, *here.from_);
#endif
    // Part of this function, so that the chain of calls is as deep as it was when the context was
    // entered: the CPU's return stack then fits whoever runs next.
    const departure to = here.to_->main(here);
    leave(to.here->discarded_, *to.target, *to.here, true);
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
  fresh.sp = prepare_stack<&switching::run>(on.top(), on.usable());
  fresh.eh = eh_state{};
  fresh.fp = fp_control{};
  fresh.main = main;
  describe_to_sanitizers(fresh, on);
}

void adopt_context(context& fresh, stack& on) noexcept {
  describe_to_sanitizers(fresh, on);
  fp_control ended;
  exchange_fp_control(ended, fp_control{});
}

WEFT_SWITCHING thread_side* switch_to(context& self, context& target, thread_side& here) noexcept {
  return switching::leave(self, target, here, false);
}

}  // namespace weft::detail
