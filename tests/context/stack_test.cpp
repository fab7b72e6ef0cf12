#include "context/stack.hpp"

#include "context/stack_cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "context/sanitizer.hpp"

namespace weft::detail {
namespace {

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

// Each test that looks at the pool has a size class of its own: the pool is one a process.
std::uint8_t class_of(std::size_t kibibytes) {
  return stacks::class_for(kibibytes * 1024 / sanitizer_stack_factor);
}

// Whether the byte can be read, asked of the kernel, which answers instead of dying.
bool readable(const char* at) {
  static int ends[2] = {-1, -1};
  if (ends[0] < 0 && pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const ssize_t wrote = write(ends[1], at, 1);
  char back = 0;
  if (wrote == 1 && read(ends[0], &back, 1) != 1) std::abort();
  return wrote == 1;
}

bool resident(const char* at) {
  unsigned char in_core = 0;
  char* begin = const_cast<char*>(at) - reinterpret_cast<std::uintptr_t>(at) % page;
  return mincore(begin, page, &in_core) == 0 && (in_core & 1) != 0;
}

void touch(stack& used, std::size_t pages_from_top) {
  for (std::size_t i = 1; i <= pages_from_top; ++i)
    used.top()[-static_cast<std::ptrdiff_t>(i * page) + 64] = 1;
}

std::vector<stack*> acquire_many(std::uint8_t size_class, std::size_t count) {
  std::vector<stack*> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(stacks::acquire(size_class));
    if (out.back() == nullptr) std::abort();
  }
  return out;
}

// The same, with those that the pool made ready beside them.
std::vector<stack*> acquire_many_and_spare(std::uint8_t size_class, std::size_t count) {
  auto out = acquire_many(size_class, count);
  stack* spare = nullptr;
  stacks::acquire_hot(size_class, SIZE_MAX, &spare);
  for (; spare != nullptr; spare = spare->next) out.push_back(spare);
  return out;
}

void release_all(const std::vector<stack*>& all) {
  for (stack* each : all) stacks::release(each);
}

// ---- sizes

TEST(Stack, TheClassHasAtLeastTheBytesAsked) {
  constexpr std::size_t factor = sanitizer_stack_factor;
  EXPECT_EQ(stacks::class_for(0), stacks::class_for(stacks::smallest));
  EXPECT_EQ(stacks::class_for(1), stacks::class_for(stacks::smallest));
  EXPECT_EQ(stacks::class_for(stacks::smallest + 1), stacks::class_for(stacks::smallest) + 1);
  EXPECT_EQ(stacks::class_for(64 * 1024), stacks::class_for(64 * 1024 - 1));
  EXPECT_EQ(stacks::class_for(64 * 1024 + 1), stacks::class_for(64 * 1024) + 1);
  EXPECT_EQ(stacks::class_for(stacks::largest), stacks::class_for(stacks::largest / factor));
  EXPECT_EQ(stacks::class_for(~std::size_t{0}), stacks::class_for(stacks::largest));
}

TEST(Stack, ItIsUsableFromLimitToTop) {
  for (std::size_t bytes : {std::size_t{1}, std::size_t{40'000}, std::size_t{1} << 20}) {
    stack* got = stacks::acquire(stacks::class_for(bytes));
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->limit(), got->base + page);
    EXPECT_EQ(got->usable(), static_cast<std::size_t>(got->top() - got->limit()));
    EXPECT_GE(got->usable() + page + 128, std::max(bytes, stacks::smallest));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(got->top()) % 16, 0u);
    std::memset(got->limit(), 0xab, got->usable());
    stacks::release(got);
  }
}

TEST(Stack, TheLargestClassCanBeHadWithoutItsMemory) {
  stack* got = stacks::acquire(stacks::class_for(stacks::largest));
  ASSERT_NE(got, nullptr);
  EXPECT_GE(got->usable(), stacks::largest - 2 * page);
  EXPECT_FALSE(resident(got->limit() + got->usable() / 2));
  stacks::release(got);
}

// ---- the pool

TEST(Stack, TheLastReleasedIsTheFirstReused) {
  const std::uint8_t mine = class_of(2048);
  auto three = acquire_many(mine, 3);
  EXPECT_EQ(std::set<stack*>(three.begin(), three.end()).size(), 3u);
  release_all(three);
  EXPECT_EQ(stacks::acquire(mine), three[2]);
  EXPECT_EQ(stacks::acquire(mine), three[1]);
  EXPECT_EQ(stacks::acquire(mine), three[0]);
  release_all(three);
}

TEST(Stack, HotOnesComeInABatchAndNothingIsMappedForIt) {
  const std::uint8_t mine = class_of(16384);
  stack* list = nullptr;
  EXPECT_EQ(stacks::acquire_hot(mine, 4, &list), 0u);
  EXPECT_EQ(list, nullptr);
  auto three = acquire_many(mine, 3);
  release_all(three);
  EXPECT_EQ(stacks::acquire_hot(mine, 2, &list), 2u);
  ASSERT_NE(list, nullptr);
  ASSERT_NE(list->next, nullptr);
  EXPECT_EQ(list->next->next, nullptr);
  EXPECT_EQ((std::set<stack*>{list, list->next}), (std::set<stack*>{three[1], three[2]}));
  stack* rest = nullptr;
  EXPECT_EQ(stacks::acquire_hot(mine, 4, &rest), 1u);
  EXPECT_EQ(rest, three[0]);
  EXPECT_EQ(rest->next, nullptr);
  release_all(three);
}

TEST(Stack, TheCountTellsUsedFromCached) {
  const std::uint8_t mine = class_of(8192);
  const stack_counts before = stacks::count();
  auto two = acquire_many(mine, 2);
  EXPECT_EQ(stacks::count().in_use, before.in_use + 2);
  EXPECT_EQ(stacks::count().cached, before.cached);
  stacks::release(two[0]);
  EXPECT_EQ(stacks::count().in_use, before.in_use + 1);
  EXPECT_EQ(stacks::count().cached, before.cached + 1);
  {
    stack_cache own(mine);
    own.put(two[1]);
    EXPECT_EQ(stacks::count().in_use, before.in_use);
    EXPECT_EQ(stacks::count().cached, before.cached + 2);
  }
  EXPECT_EQ(stacks::count().in_use, before.in_use);
  EXPECT_EQ(stacks::count().cached, before.cached + 2);
}

TEST(Stack, ThreadsNeverGetTheSameStack) {
  const std::uint8_t mine = class_of(512);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([mine, i] {
      std::vector<stack*> held;
      for (int round = 0; round < 2000; ++round) {
        if (held.size() < 8) {
          held.push_back(stacks::acquire(mine));
          held.back()->limit()[0] = static_cast<char>(i);
          held.back()->top()[-1] = static_cast<char>(i);
        } else {
          for (stack* each : held) {
            EXPECT_EQ(each->limit()[0], static_cast<char>(i));
            EXPECT_EQ(each->top()[-1], static_cast<char>(i));
            stacks::release(each);
          }
          held.clear();
        }
      }
      for (stack* each : held) stacks::release(each);
    });
  }
  for (std::thread& each : threads) each.join();
}

// ---- guards

TEST(StackDeathTest, WritingBelowTheLimitIsAFault) {
  stack* got = stacks::acquire(class_of(64));
  ASSERT_NE(got, nullptr);
  volatile char* limit = got->limit();
  limit[0] = 1;
  auto dies = [](int status) {  // a sanitizer reports and exits
    return sanitized ? WIFEXITED(status) && WEXITSTATUS(status) != 0
                     : testing::KilledBySignal(SIGSEGV)(status);
  };
  EXPECT_EXIT(limit[-1] = 1, dies, "");
  EXPECT_EXIT(*static_cast<volatile char*>(got->base) = 1, dies, "");
  stacks::release(got);
}

TEST(Stack, TheKernelFaultsOnAGuardToo) {
  stack* got = stacks::acquire(class_of(64));
  ASSERT_NE(got, nullptr);
  got->limit()[0] = 1;
  EXPECT_TRUE(readable(got->limit()));
  EXPECT_FALSE(readable(got->limit() - 1));
  EXPECT_FALSE(readable(got->base));
  stacks::release(got);
}

TEST(Stack, AGuardAddressNamesItsStack) {
  auto some = acquire_many(class_of(64), 5);
  for (stack* each : some) {
    stack* owner = nullptr;
    EXPECT_TRUE(is_stack_guard(each->base, &owner));
    EXPECT_EQ(owner, each);
    owner = nullptr;
    EXPECT_TRUE(is_stack_guard(each->limit() - 1, &owner));
    EXPECT_EQ(owner, each);
    EXPECT_FALSE(is_stack_guard(each->limit(), &owner));
    EXPECT_FALSE(is_stack_guard(each->top(), &owner));
  }
  release_all(some);
}

TEST(Stack, OtherAddressesAreNoGuards) {
  stack* owner = nullptr;
  int local = 0;
  const auto heap = std::make_unique<int>(0);
  EXPECT_FALSE(is_stack_guard(nullptr, &owner));
  EXPECT_FALSE(is_stack_guard(&local, &owner));
  EXPECT_FALSE(is_stack_guard(heap.get(), &owner));
  EXPECT_FALSE(is_stack_guard(reinterpret_cast<void*>(~std::uintptr_t{0}), &owner));
}

bool guard_advice_works() {
  void* probe = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool works = madvise(probe, page, 102) == 0;  // MADV_GUARD_INSTALL
  munmap(probe, page);
  return works;
}

std::ptrdiff_t count_mappings() {
  std::ifstream maps("/proc/self/maps");
  return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
}

TEST(Stack, FortyThousandStacksEachHaveAGuard) {
#if defined(WEFT_TSAN)
  constexpr std::size_t many = 2'000;  // it pays for each stack
#else
  constexpr std::size_t many = 40'000;
#endif
  const auto mappings_before = count_mappings();
  auto all = acquire_many(stacks::class_for(stacks::smallest), many);
  std::size_t unguarded = 0;
  for (stack* each : all) {
    each->top()[-1] = 1;
    unguarded += !each->canary && readable(each->limit() - 1);
  }
  EXPECT_EQ(unguarded, 0u);
  if (guard_advice_works() && !sanitized) {
    EXPECT_LT(count_mappings() - mappings_before, 50);
    for (stack* each : all) ASSERT_FALSE(each->canary);
  }
  release_all(all);
  stacks::trim();
  stacks::trim();
}

// ---- giving memory back

TEST(Stack, TrimGivesBackWhatNobodyNeededSinceTheLast) {
  const std::uint8_t mine = class_of(128);
  constexpr std::size_t kept = 64;
  auto all = acquire_many_and_spare(mine, 300);
  const std::size_t many = all.size();
  for (stack* each : all) touch(*each, 3);
  release_all(all);
  std::vector<char*> bases;
  for (stack* each : all) bases.push_back(each->base);
  auto still_resident = [&] {
    std::size_t count = 0;
    const std::size_t bytes = (std::size_t{16} << 10) << mine;
    for (char* base : bases) {
      const bool upper = resident(base + bytes - 2 * page);
      const bool top = resident(base + bytes - page);
      EXPECT_EQ(upper, top) << "half of a stack was given back";
      count += top;
    }
    return count;
  };
  stacks::trim();  // they were in use since the one before
  EXPECT_EQ(still_resident(), many);
  stacks::trim();
  EXPECT_EQ(still_resident(), kept);

  // And all of them serve again, behind their guards.
  auto again = acquire_many(mine, many);
  std::vector<char*> bases_again;
  for (stack* each : again) {
    bases_again.push_back(each->base);
    EXPECT_FALSE(readable(each->limit() - 1));
    std::memset(each->limit(), 0xcd, each->usable());
    stack* owner = nullptr;
    EXPECT_TRUE(is_stack_guard(each->base, &owner));
    EXPECT_EQ(owner, each);
  }
  std::sort(bases.begin(), bases.end());
  std::sort(bases_again.begin(), bases_again.end());
  EXPECT_EQ(bases, bases_again) << "new memory was mapped though old was free";
  release_all(again);
}

TEST(Stack, TrimKeepsWhatWasNeededMeanwhile) {
  const std::uint8_t mine = class_of(256);
  constexpr std::size_t many = 200;
  auto all = acquire_many(mine, many);
  release_all(all);
  stacks::trim();
  all = acquire_many(mine, many);  // the peak comes again
  release_all(all);
  stacks::trim();
  for (stack* each : all) ASSERT_TRUE(resident(each->top())) << "the next peak would pay again";
}

TEST(Stack, TrimKeepsTheHottest) {
  const std::uint8_t mine = class_of(1024);
  auto all = acquire_many(mine, 100);
  release_all(all);
  stacks::trim();
  stacks::trim();
  for (std::size_t i = all.size(); i > all.size() - 64; --i)
    ASSERT_EQ(stacks::acquire(mine), all[i - 1]);
  EXPECT_FALSE(resident(all.front()->top()));
  for (std::size_t i = all.size() - 64; i < all.size(); ++i) stacks::release(all[i]);
}

// ---- where something is missing: each in a process of its own

class StackDeathTestIn : public testing::Test {
 protected:
  void SetUp() override {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    if (sanitized) GTEST_SKIP() << "sanitizers need the memory or the mappings themselves";
  }
};
using StackFallbackDeathTest = StackDeathTestIn;

// Locked memory takes no MADV_GUARD_INSTALL. Only what is touched is locked, or 16 MiB would be.
bool refuse_guard_advice() { return mlockall(MCL_FUTURE | MCL_ONFAULT) == 0; }

bool can_lock_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  return geteuid() == 0 || limit.rlim_cur == RLIM_INFINITY;
}

long map_limit() {
  long limit = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> limit;
  return limit;
}

TEST_F(StackFallbackDeathTest, WithoutGuardAdviceAStackIsProtected) {
  if (!can_lock_memory()) GTEST_SKIP() << "may not lock memory";
  auto child = [] {
    if (!refuse_guard_advice()) _exit(1);
    for (stack* each : acquire_many(stacks::class_for(stacks::smallest), 100)) {
      if (each->canary) _exit(2);
      if (readable(each->limit() - 1)) _exit(3);
      std::memset(each->limit(), 1, each->usable());
    }
    _exit(0);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

// Takes mappings until there are hardly any left for guards.
void use_up_mappings(long leave) {
  const long count = map_limit() - leave;
  const auto bytes = static_cast<std::size_t>(count) * page;
  auto* area = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (area == MAP_FAILED) _exit(9);
  for (long i = 0; i < count; i += 2)
    if (mprotect(area + static_cast<std::size_t>(i) * page, page, PROT_NONE) != 0) break;
}

TEST_F(StackFallbackDeathTest, WithoutMappingsAStackHasACanaryAndOneLineSaysSo) {
  if (!can_lock_memory()) GTEST_SKIP() << "may not lock memory";
  if (map_limit() > 300'000) GTEST_SKIP() << "vm.max_map_count is high";
  auto child = [] {
    if (!refuse_guard_advice()) _exit(1);
    use_up_mappings(300);
    // All within the first slab: another could not be mapped.
    auto all = acquire_many(stacks::class_for(stacks::smallest), 800);
    std::size_t guarded = 0;
    for (stack* each : all) {
      guarded += !readable(each->limit() - 1);
      if (readable(each->limit() - 1) && !each->canary) _exit(2);  // silently nothing
    }
    if (guarded == 0 || guarded == all.size()) _exit(3);
    for (stack* each : all) std::memset(each->limit() + 64, 1, each->usable() - 64);
    for (stack* each : all) stacks::release(each);  // nobody overflowed
    stacks::trim();
    stacks::trim();
    for (stack* each : acquire_many(stacks::class_for(stacks::smallest), 800))
      if (readable(each->limit() - 1) && !each->canary) _exit(4);
    _exit(0);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "^weft: [^\n]*vm\\.max_map_count[^\n]*\n$");
}

TEST_F(StackFallbackDeathTest, AnOverflowOverACanaryEndsTheProcessWhenTheStackComesBack) {
  if (!can_lock_memory()) GTEST_SKIP() << "may not lock memory";
  if (map_limit() > 300'000) GTEST_SKIP() << "vm.max_map_count is high";
  auto child = [] {
    if (!refuse_guard_advice()) _exit(1);
    use_up_mappings(50);
    for (stack* each : acquire_many(stacks::class_for(stacks::smallest), 200)) {
      if (!each->canary) continue;
      std::memset(each->limit() - 8, 1, 16);
      stacks::release(each);
      _exit(2);
    }
    _exit(3);
  };
  EXPECT_EXIT(child(), testing::KilledBySignal(SIGABRT), "overflowed its stack");
}

TEST_F(StackFallbackDeathTest, WithoutAddressSpaceThereIsNoStackUntilThereIsAgain) {
  auto child = [] {
    const std::uint8_t mine = stacks::class_for(256 * 1024);
    std::vector<stack*> all = acquire_many(mine, 4);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    const rlimit before = limit;
    limit.rlim_cur = pages * page + (std::size_t{8} << 20);
    setrlimit(RLIMIT_AS, &limit);
    all.reserve(10'000);
    while (stack* each = stacks::acquire(mine)) {
      each->limit()[0] = 1;
      all.push_back(each);
      if (all.size() == 10'000) _exit(1);  // no limit at all
    }
    if (all.size() < 64) _exit(2);  // the first slab has as many
    if (stacks::acquire(mine) != nullptr) _exit(3);
    stacks::release(all.back());
    if (stacks::acquire(mine) != all.back()) _exit(4);
    setrlimit(RLIMIT_AS, &before);
    for (int i = 0; i < 200; ++i) {
      stack* each = stacks::acquire(mine);
      if (each == nullptr) _exit(5);
      std::memset(each->limit(), 1, each->usable());
      if (readable(each->limit() - 1)) _exit(6);
    }
    _exit(0);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace weft::detail
