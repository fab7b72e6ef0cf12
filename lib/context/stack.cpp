// See stack.hpp for what and why.
#include "context/stack.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/never_destroyed.hpp"
#include "context/guard.hpp"
#include "context/sanitizer.hpp"
#include "context/stack_cache.hpp"

namespace weft::detail {
namespace {

constexpr unsigned smallest_log2 = 14;
constexpr unsigned class_count = 17;  // 16 KiB to 1 GiB
constexpr std::size_t first_slab_bytes = std::size_t{16} << 20;
constexpr std::size_t largest_slab_bytes = std::size_t{4} << 30;
constexpr std::size_t kept_hot = 64;  // stacks a class keeps whatever trim() finds
constexpr std::size_t max_slabs = 4096;

// So many are made ready at once, since one system call for their guards costs half of many; but at
// most an eighth of what there is, so that a few fibers do not pay for many.
#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
constexpr std::size_t most_at_once = 1;  // each costs the sanitizer's memory, too
#else
constexpr std::size_t most_at_once = 64;
#endif
constexpr std::size_t most_bytes_at_once = std::size_t{16} << 20;

std::size_t bytes_of(std::uint8_t size_class) noexcept {
  return std::size_t{1} << (smallest_log2 + size_class);
}

// From one stack to the next in a slab: a page is left out, never touched, since the pages of
// stacks a power of two apart share a few places of the TLB (yield around 1000 fibers: 31 to 22
// ns).
std::size_t stride_of(std::uint8_t size_class) noexcept {
  return bytes_of(size_class) + page_bytes();
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
  stack* hot = nullptr;  // the hottest first
  stack* coldest = nullptr;
  std::size_t hot_count = 0;
  std::size_t low_water = 0;  // least hot_count since the last trim: nobody needed these
  std::vector<char*> cold;
  char* fresh = nullptr;  // what is left of the newest slab
  char* fresh_end = nullptr;
  std::size_t slab_bytes = 0;
  std::size_t carved = 0;
  std::size_t in_use = 0;
};

class_pool& pool_of(std::uint8_t size_class) noexcept {
  static never_destroyed<std::array<class_pool, class_count>> pools;
  return pools.get()[size_class];
}

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

// Stacks linked by next; prev is set only while they are in a pool.
struct stack_list {
  stack* first = nullptr;
  stack* last = nullptr;
  std::size_t count = 0;
};

void put_hot(class_pool& pool, const stack_list& list) noexcept {
  list.first->prev = nullptr;
  for (stack* each = list.first; each != list.last; each = each->next) each->next->prev = each;
  list.last->next = pool.hot;
  (pool.hot != nullptr ? pool.hot->prev : pool.coldest) = list.last;
  pool.hot = list.first;
  pool.hot_count += list.count;
}

// At most as many as wanted, hottest first.
stack_list take_hot(class_pool& pool, std::size_t want) noexcept {
  stack_list out;
  stack* rest = pool.hot;
  for (; out.count < want && rest != nullptr; ++out.count) {
    out.last = rest;
    rest = rest->next;
  }
  if (out.count == 0) return out;
  out.first = std::exchange(pool.hot, rest);
  out.last->next = nullptr;
  (rest != nullptr ? rest->prev : pool.coldest) = nullptr;
  pool.hot_count -= out.count;
  pool.low_water = std::min(pool.low_water, pool.hot_count);
  return out;
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

bool has_fresh(const class_pool& pool, std::uint8_t size_class) noexcept {
  return static_cast<std::size_t>(pool.fresh_end - pool.fresh) >= stride_of(size_class);
}

// Takes the next never-used stack, mapping a slab if need be; a smaller one if a large one fails.
char* carve(class_pool& pool, std::uint8_t size_class) noexcept {
  const std::size_t bytes = stride_of(size_class);
  if (!has_fresh(pool, size_class)) {
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
  ++pool.carved;
  return base;
}

// Stacks that have no memory yet.
struct raw_stacks {
  std::array<char*, most_at_once> bases;
  std::size_t count = 0;
  bool guarded = false;
};

raw_stacks take_raw(class_pool& pool, std::uint8_t size_class) noexcept {
  raw_stacks out;
  const std::size_t most = std::min(most_at_once, most_bytes_at_once / bytes_of(size_class));
  const std::size_t want = std::max<std::size_t>(1, std::min(most, pool.carved / 8));
  if (!pool.cold.empty()) {
    out.guarded = true;  // guards survive MADV_DONTNEED
    while (out.count < want && !pool.cold.empty()) {
      out.bases[out.count++] = pool.cold.back();
      pool.cold.pop_back();
    }
    return out;
  }
  // Only the first may map a slab.
  while (out.count < want && (out.count == 0 || has_fresh(pool, size_class))) {
    char* base = carve(pool, size_class);
    if (base == nullptr) break;
    out.bases[out.count++] = base;
  }
  return out;
}

stack_list make_ready(const raw_stacks& raw, std::uint8_t size_class) noexcept {
  std::size_t guarded = raw.count;
  if (!raw.guarded) guarded = raw.count == 1 ? 0 : install_guards(raw.bases.data(), raw.count);
  stack_list out;
  for (; out.count < raw.count; ++out.count) {
    stack* made = set_up(raw.bases[out.count], size_class, out.count < guarded);
    (out.first == nullptr ? out.first : out.last->next) = made;
    out.last = made;
  }
  return out;
}

// How many stacks nobody needed since the last call; there is room for them in pool.cold then.
std::size_t count_unneeded(class_pool& pool) noexcept {
  std::lock_guard<std::mutex> hold(pool.lock);
  const std::size_t spare = pool.low_water > kept_hot ? pool.low_water - kept_hot : 0;
  const std::size_t room = pool.cold.size() + spare;
  try {
    if (room > pool.cold.capacity()) pool.cold.reserve(std::max(room, 2 * pool.cold.capacity()));
  } catch (const std::bad_alloc&) {
    return 0;  // the next call may have more luck
  }
  pool.low_water = pool.hot_count - spare;
  return spare;
}

// Gives the memory of a few of the coldest back. Only unlinking them needs the lock.
void cool_down(class_pool& pool, std::uint8_t size_class, std::size_t count) noexcept {
  std::array<char*, most_at_once> usable;
  std::size_t cooled = 0;
  {
    std::lock_guard<std::mutex> hold(pool.lock);
    for (; count > 0 && pool.hot_count > kept_hot; --count) {
      stack* old = pool.coldest;
      pool.coldest = old->prev;
      pool.coldest->next = nullptr;
      --pool.hot_count;
      if (old->canary) {  // its pattern would be lost
        put_hot(pool, {old, old, 1});
        continue;
      }
      usable[cooled++] = old->limit();
      tear_down(old);
    }
  }
  advise_each(usable.data(), cooled, bytes_of(size_class) - page_bytes(), MADV_DONTNEED);
  std::lock_guard<std::mutex> hold(pool.lock);
  for (std::size_t i = 0; i < cooled; ++i) pool.cold.push_back(usable[i] - page_bytes());
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
  raw_stacks raw;
  {
    std::lock_guard<std::mutex> hold(pool.lock);
    if (stack* found = take_hot(pool, 1).first) {
      ++pool.in_use;
      return found;
    }
    raw = take_raw(pool, size_class);
    if (raw.count == 0) return nullptr;
    ++pool.in_use;
  }
  stack_list made = make_ready(raw, size_class);
  stack* got = made.first;
  if (--made.count > 0) {
    made.first = got->next;
    std::lock_guard<std::mutex> hold(pool.lock);
    put_hot(pool, made);
  }
  return got;
}

std::size_t acquire_hot(std::uint8_t size_class, std::size_t want, stack** list) noexcept {
  class_pool& pool = pool_of(size_class);
  std::lock_guard<std::mutex> hold(pool.lock);
  const stack_list taken = take_hot(pool, want);
  if (taken.count == 0) return 0;
  pool.in_use += taken.count;
  taken.last->next = std::exchange(*list, taken.first);
  return taken.count;
}

void release(stack* done) noexcept { release_list(done, done, 1); }

void release_list(stack* first, stack* last, std::size_t count) noexcept {
  for (stack* each = first;; each = each->next) {
    if (each->canary) check_canary(each->base);
    if (each == last) break;
  }
  class_pool& pool = pool_of(first->size_class);
  std::lock_guard<std::mutex> hold(pool.lock);
  put_hot(pool, {first, last, count});
  pool.in_use -= count;
}

void trim() noexcept {
  static std::mutex one_at_a_time;
  std::lock_guard<std::mutex> hold(one_at_a_time);
  for (unsigned c = 0; c < class_count; ++c) {
    const auto size_class = static_cast<std::uint8_t>(c);
    class_pool& pool = pool_of(size_class);
    for (std::size_t left = count_unneeded(pool); left > 0;) {
      const std::size_t some = std::min(left, most_at_once);
      cool_down(pool, size_class, some);
      left -= some;
    }
  }
}

stack_counts count() noexcept {
  stack_counts total;
  for (unsigned c = 0; c < class_count; ++c) {
    class_pool& pool = pool_of(static_cast<std::uint8_t>(c));
    std::lock_guard<std::mutex> hold(pool.lock);
    total.in_use += pool.in_use;
    total.cached += pool.hot_count;
  }
  const std::size_t cached = stack_cache::total();
  total.in_use -= cached;
  total.cached += cached;
  return total;
}

}  // namespace stacks

bool is_stack_guard(const void* address, stack** owner) noexcept {
  const char* at = static_cast<const char*>(address);
  const std::size_t known = slab_count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i) {
    const slab& in = slabs[i];
    if (at < in.begin || at >= in.end) continue;
    const std::size_t offset = static_cast<std::size_t>(at - in.begin) % stride_of(in.size_class);
    char* base = const_cast<char*>(at) - offset;
    char* top = base + bytes_of(in.size_class) - sizeof(stack);
    *owner = reinterpret_cast<stack*>(top - reinterpret_cast<std::uintptr_t>(top) % 64);
    return offset < page_bytes();
  }
  return false;
}

}  // namespace weft::detail
