// See this_thread.hpp. "noinline" keeps callers from seeing the TLS address computation; the empty
// asm on the result keeps the compiler from deducing that two calls return the same value.
// Checked by tests/context/migration_test at -O0, -O2, -O3 -flto and -fPIC with gcc and clang.
#include "base/this_thread.hpp"

namespace weft::detail {

// initial-exec: eight bytes of static TLS buy a read without a call into the loader. The name is
// for the instructions in the header.
extern thread_local carrier* current asm("weft_current_carrier");
__attribute__((tls_model("initial-exec"), visibility("hidden"),
               used)) thread_local carrier* current = nullptr;

namespace {
struct dropped_at_exit {
  thread_slot slots[3];

  ~dropped_at_exit() {
    for (unsigned at = 0; at < 3;) {
      thread_slot& slot = slots[at];
      if (slot.value == nullptr) {
        ++at;
        continue;
      }
      slot.drop(slot.value);
      slot.value = nullptr;
      at = 0;  // user code in there may have filled another
    }
  }
};
thread_local dropped_at_exit own;

// initial-exec, for the loader might allocate at the first use.
__attribute__((tls_model("initial-exec"))) thread_local told_signal told;
}  // namespace

#if !(defined(__x86_64__) && defined(__ELF__) && defined(__LP64__))
__attribute__((noinline)) carrier* current_carrier() noexcept {
  carrier* result = current;
  asm volatile("" : "+r"(result));
  return result;
}
#endif

__attribute__((noinline)) void set_current_carrier(carrier* now) noexcept { current = now; }

__attribute__((noinline)) thread_slot& this_threads_slot(thread_slot_use use) noexcept {
  thread_slot* result = &own.slots[static_cast<unsigned>(use)];
  asm volatile("" : "+r"(result));
  return *result;
}

__attribute__((noinline)) told_signal& this_threads_told_signal() noexcept { return told; }

}  // namespace weft::detail
