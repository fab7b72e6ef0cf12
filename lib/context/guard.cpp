// See guard.hpp.
#include "context/guard.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace weft::detail {
namespace {

constexpr int madv_guard_install = 102;                     // asm-generic/mman-common.h, Linux 6.13
[[maybe_unused]] constexpr int pidfd_self_thread = -10000;  // linux/pidfd.h of Linux 6.14
constexpr std::uint64_t canary_word = 0x77656674'73746163;  // "weftstac"
constexpr std::size_t canary_words = 8;
constexpr std::size_t most_ranges = 64;

enum class guard_kind { advice, protection, canary };
std::atomic<guard_kind> guards{guard_kind::advice};
std::atomic<bool> many_at_once{true};

void warn_unguarded() noexcept {
  static std::atomic<bool> said{false};
  if (said.exchange(true)) return;
  std::fputs(
      "weft: no more guard pages for fiber stacks: the limit vm.max_map_count is reached. "
      "Raise it (sysctl vm.max_map_count) or run on Linux 6.13 or newer; until then overflows are "
      "found only when a fiber ends.\n",
      stderr);
}

// At most most_ranges at once.
std::size_t advise_some([[maybe_unused]] char* const* bases, [[maybe_unused]] std::size_t count,
                        [[maybe_unused]] std::size_t bytes, [[maybe_unused]] int advice) noexcept {
#ifdef SYS_process_madvise
  if (!many_at_once.load(std::memory_order_relaxed)) return 0;
  iovec ranges[most_ranges];
  for (std::size_t i = 0; i < count; ++i) ranges[i] = {bases[i], bytes};
  const long done = syscall(SYS_process_madvise, pidfd_self_thread, ranges, count, advice, 0u);
  if (done > 0) return static_cast<std::size_t>(done) / bytes;
  if (errno != EAGAIN && errno != ENOMEM && errno != EINTR)
    many_at_once.store(false, std::memory_order_relaxed);
#endif
  return 0;
}

}  // namespace

// A function, since static objects of the program may start fibers before ours are made.
std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

bool install_guard(char* base) noexcept {
  if (guards.load(std::memory_order_relaxed) == guard_kind::advice) {
    if (madvise(base, page_bytes(), madv_guard_install) == 0) return false;
    if (errno == EAGAIN || errno == ENOMEM) {  // this one only; the next may succeed
      if (madvise(base, page_bytes(), madv_guard_install) == 0) return false;
    }
    guards.store(guard_kind::protection, std::memory_order_relaxed);
  }
  if (mprotect(base, page_bytes(), PROT_NONE) == 0) return false;
  guards.store(guard_kind::canary, std::memory_order_relaxed);
  warn_unguarded();
  auto* words = reinterpret_cast<std::uint64_t*>(base + page_bytes());
  std::fill_n(words, canary_words, canary_word);
  return true;
}

void check_canary(const char* base) noexcept {
  const auto* words = reinterpret_cast<const std::uint64_t*>(base + page_bytes());
  for (std::size_t i = 0; i < canary_words; ++i) {
    if (words[i] == canary_word) continue;
    std::fputs("weft: a fiber overflowed its stack (found when it ended)\n", stderr);
    std::abort();
  }
}

std::size_t advise_each(char* const* bases, std::size_t count, std::size_t bytes,
                        int advice) noexcept {
  std::size_t done = 0;
  while (done < count) {
    const std::size_t some =
        advise_some(bases + done, std::min(count - done, most_ranges), bytes, advice);
    if (some == 0 && madvise(bases[done], bytes, advice) != 0) break;
    done += some == 0 ? 1 : some;
  }
  return done;
}

std::size_t install_guards(char* const* bases, std::size_t count) noexcept {
  if (guards.load(std::memory_order_relaxed) != guard_kind::advice) return 0;
  return advise_each(bases, count, page_bytes(), madv_guard_install);
}

}  // namespace weft::detail
