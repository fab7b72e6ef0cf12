// See stack.hpp for what and why.
#include "context/stack.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/never_destroyed.hpp"
#include "context/sanitizer.hpp"

namespace weft::detail {
namespace {

constexpr int madv_guard_install = 102;  // asm-generic/mman-common.h of Linux 6.13
constexpr std::uint64_t canary_word = 0x77656674'73746163;  // "weftstac"
constexpr std::size_t canary_words = 8;
constexpr unsigned smallest_log2 = 14;
constexpr unsigned class_count = 17;  // 16 KiB to 1 GiB
constexpr std::size_t first_slab_bytes = std::size_t{16} << 20;
constexpr std::size_t largest_slab_bytes = std::size_t{4} << 30;
constexpr std::size_t kept_hot = 64;  // stacks a class keeps whatever trim() finds
constexpr std::size_t max_slabs = 4096;

// A function, since static objects of the program may start fibers before ours are made.
std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t bytes_of(std::uint8_t size_class) noexcept {
  return std::size_t{1} << (smallest_log2 + size_class);
}

enum class guard_kind { advice, protection, canary };
std::atomic<guard_kind> guards{guard_kind::advice};

void warn_unguarded() noexcept {
  static std::atomic<bool> said{false};
  if (said.exchange(true)) return;
  std::fputs(
      "weft: no more guard pages for fiber stacks: the limit vm.max_map_count is reached. "
      "Raise it (sysctl vm.max_map_count) or run on Linux 6.13 or newer; until then overflows are "
      "found only when a fiber ends.\n",
      stderr);
}

// Returns whether the stack is left with a canary only.
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

void check_canary(const stack& done) noexcept {
  const auto* words = reinterpret_cast<const std::uint64_t*>(done.limit());
  for (std::size_t i = 0; i < canary_words; ++i) {
    if (words[i] == canary_word) continue;
    std::fputs("weft: a fiber overflowed its stack (found when it ended)\n", stderr);
    std::abort();
  }
}

struct slab {
  char* begin = nullptr;
  char* end = nullptr;
  std::uint8_t size_class = 0;
};

// Slabs are published for the SIGSEGV handler, which can take no lock: a slot is written once,
// before the count that makes it visible is raised.
slab slabs[max_slabs];
std::atomic<std::size_t> slab_count{0};  // release in publish(), acquire in is_stack_guard()

void publish(const slab& made) noexcept {
  static std::mutex order;
  std::lock_guard<std::mutex> hold(order);
  const std::size_t at = slab_count.load(std::memory_order_relaxed);
  if (at == max_slabs) return;  // only the overflow report gets less precise
  slabs[at] = made;
  slab_count.store(at + 1, std::memory_order_release);
}

struct class_pool {
  std::mutex lock;
  stack* hot = nullptr;
  std::size_t hot_count = 0;
  std::size_t low_water = 0;  // least hot_count since the last trim: nobody needed these
  std::vector<char*> cold;
  char* fresh = nullptr;  // what is left of the newest slab
  char* fresh_end = nullptr;
  std::size_t slab_bytes = 0;
  std::size_t in_use = 0;
};

class_pool& pool_of(std::uint8_t size_class) noexcept {
  static never_destroyed<std::array<class_pool, class_count>> pools;
  return pools.get()[size_class];
}

std::atomic<std::ptrdiff_t> in_caches{0};

stack* set_up(char* base, std::uint8_t size_class, bool guard_there) noexcept {
  bool canary = false;
  if (!guard_there) canary = install_guard(base);
  char* top = base + bytes_of(size_class) - sizeof(stack);
  top -= reinterpret_cast<std::uintptr_t>(top) % 64;
  auto* made = new (top) stack;
  made->base = base;
  made->size_class = size_class;
  made->canary = canary;
#ifdef WEFT_TSAN
  made->tsan = __tsan_create_fiber(0);
#endif
#ifdef WEFT_ASAN
  // What only a parked fiber holds is not a leak. Without the guard: LeakSanitizer reads it all.
  __lsan_register_root_region(made->limit(), made->usable());
#endif
#ifdef WEFT_VALGRIND
  made->valgrind_id = VALGRIND_STACK_REGISTER(base + page_bytes(), top);
#endif
  return made;
}

void tear_down(stack* old) noexcept {
#ifdef WEFT_TSAN
  __tsan_destroy_fiber(old->tsan);
#endif
#ifdef WEFT_ASAN
  __lsan_unregister_root_region(old->limit(), old->usable());
#endif
#ifdef WEFT_VALGRIND
  VALGRIND_STACK_DEREGISTER(old->valgrind_id);
#endif
  static_cast<void>(old);
}

// Takes the stacks that nobody needed since the last call off the end of the list, where the
// coldest are. Giving back their memory is a system call each: for that the lock is free again.
stack* cut_off_unneeded(class_pool& pool) noexcept {
  std::lock_guard<std::mutex> hold(pool.lock);
  const std::size_t spare = pool.low_water > kept_hot ? pool.low_water - kept_hot : 0;
  try {
    pool.cold.reserve(pool.cold.size() + spare);
  } catch (const std::bad_alloc&) {
    return nullptr;  // the next call may have more luck
  }
  pool.hot_count -= spare;
  pool.low_water = pool.hot_count;
  stack** end = &pool.hot;
  for (std::size_t kept = 0; kept < pool.hot_count; ++kept) end = &(*end)->next;
  return std::exchange(*end, nullptr);
}

char* map_slab(std::size_t bytes) noexcept {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) return nullptr;
#ifdef MADV_NOHUGEPAGE
  madvise(at, bytes, MADV_NOHUGEPAGE);
#endif
  return static_cast<char*>(at);
}

// Takes the next never-used stack, mapping a slab if need be; a smaller one if a large one fails.
char* carve(class_pool& pool, std::uint8_t size_class) noexcept {
  const std::size_t bytes = bytes_of(size_class);
  if (pool.fresh == pool.fresh_end) {
    std::size_t want = pool.slab_bytes == 0 ? first_slab_bytes : pool.slab_bytes * 2;
    want = std::max(bytes, std::min(want, largest_slab_bytes));
    char* begin = map_slab(want);
    while (begin == nullptr && want > bytes) {
      want = std::max(bytes, want / 2);
      begin = map_slab(want);
    }
    if (begin == nullptr) return nullptr;
    pool.slab_bytes = want;
    pool.fresh = begin;
    pool.fresh_end = begin + want;
    publish({begin, begin + want, size_class});
  }
  char* base = pool.fresh;
  pool.fresh += bytes;
  return base;
}

}  // namespace

char* stack::limit() const noexcept { return base + page_bytes(); }

namespace stacks {

std::uint8_t class_for(std::size_t bytes) noexcept {
  bytes = std::min(std::max(bytes, smallest), largest / sanitizer_stack_factor);
  bytes *= sanitizer_stack_factor;
  std::uint8_t size_class = 0;
  while (bytes_of(size_class) < bytes) ++size_class;
  return size_class;
}

stack* acquire(std::uint8_t size_class) noexcept {
  class_pool& pool = pool_of(size_class);
  char* base = nullptr;
  bool guard_there = false;
  {
    std::lock_guard<std::mutex> hold(pool.lock);
    if (stack* found = pool.hot) {
      pool.hot = found->next;
      pool.low_water = std::min(pool.low_water, --pool.hot_count);
      ++pool.in_use;
      return found;
    }
    if (!pool.cold.empty()) {
      base = pool.cold.back();
      pool.cold.pop_back();
      guard_there = true;  // guards survive MADV_DONTNEED
    } else {
      base = carve(pool, size_class);
    }
    if (base == nullptr) return nullptr;
    ++pool.in_use;
  }
  return set_up(base, size_class, guard_there);
}

std::size_t acquire_hot(std::uint8_t size_class, std::size_t want, stack** list) noexcept {
  class_pool& pool = pool_of(size_class);
  std::lock_guard<std::mutex> hold(pool.lock);
  std::size_t got = 0;
  for (; got < want && pool.hot != nullptr; ++got) {
    stack* found = pool.hot;
    pool.hot = found->next;
    found->next = *list;
    *list = found;
  }
  pool.hot_count -= got;
  pool.low_water = std::min(pool.low_water, pool.hot_count);
  pool.in_use += got;
  return got;
}

void release(stack* done) noexcept {
  if (done->canary) check_canary(*done);
  class_pool& pool = pool_of(done->size_class);
  std::lock_guard<std::mutex> hold(pool.lock);
  done->next = pool.hot;
  pool.hot = done;
  ++pool.hot_count;
  --pool.in_use;
}

void trim() noexcept {
  static std::mutex one_at_a_time;
  std::lock_guard<std::mutex> hold(one_at_a_time);
  for (unsigned c = 0; c < class_count; ++c) {
    const auto size_class = static_cast<std::uint8_t>(c);
    class_pool& pool = pool_of(size_class);
    stack* spare = cut_off_unneeded(pool);
    while (stack* old = spare) {
      spare = old->next;
      if (old->canary) {  // its pattern would be lost
        std::lock_guard<std::mutex> hold_pool(pool.lock);
        old->next = std::exchange(pool.hot, old);
        ++pool.hot_count;
        continue;
      }
      char* base = old->base;
      tear_down(old);
      madvise(base + page_bytes(), bytes_of(size_class) - page_bytes(), MADV_DONTNEED);
      std::lock_guard<std::mutex> hold_pool(pool.lock);
      pool.cold.push_back(base);  // there is room
    }
  }
}

void note_cached(std::ptrdiff_t change) noexcept {
  in_caches.fetch_add(change, std::memory_order_relaxed);
}

stack_counts count() noexcept {
  stack_counts total;
  for (unsigned c = 0; c < class_count; ++c) {
    class_pool& pool = pool_of(static_cast<std::uint8_t>(c));
    std::lock_guard<std::mutex> hold(pool.lock);
    total.in_use += pool.in_use;
    total.cached += pool.hot_count;
  }
  const std::ptrdiff_t cached = in_caches.load(std::memory_order_relaxed);
  total.in_use -= static_cast<std::size_t>(cached);
  total.cached += static_cast<std::size_t>(cached);
  return total;
}

}  // namespace stacks

bool is_stack_guard(const void* address, stack** owner) noexcept {
  const char* at = static_cast<const char*>(address);
  const std::size_t known = slab_count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i) {
    const slab& in = slabs[i];
    if (at < in.begin || at >= in.end) continue;
    const std::size_t bytes = bytes_of(in.size_class);
    const std::size_t offset = static_cast<std::size_t>(at - in.begin) % bytes;
    char* base = const_cast<char*>(at) - offset;
    char* top = base + bytes - sizeof(stack);
    *owner = reinterpret_cast<stack*>(top - reinterpret_cast<std::uintptr_t>(top) % 64);
    return offset < page_bytes();
  }
  return false;
}

}  // namespace weft::detail
