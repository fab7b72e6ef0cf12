// The n-th allocation fails: whatever was called throws std::bad_alloc, or the child in which it
// happened does; nothing hangs, ends the process or stays behind.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "sched/injector.hpp"
#include "support/fixture.hpp"

namespace {
std::atomic<int> until_failure{0};  // 0: none fails
}  // namespace

// Not inlined: gcc takes a visible malloc() for a mismatch with delete.
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  if (until_failure.load(std::memory_order_relaxed) > 0 && until_failure.fetch_sub(1) == 1)
    throw std::bad_alloc();
  void* got = std::malloc(bytes == 0 ? 1 : bytes);
  if (got == nullptr) throw std::bad_alloc();
  return got;
}
__attribute__((noinline)) void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
__attribute__((noinline)) void operator delete(void* block) noexcept { std::free(block); }
__attribute__((noinline)) void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace {

using namespace std::chrono_literals;

class NoMemory : public weft_test::fiber_fixture {};
FIBER_SUITE(NoMemory);

// Calls body again and again, with a later allocation failing each time, until none fails.
template <class Body>
void with_each_failing(Body body) {
  for (int round = 0; round < 3; ++round) body();  // what is allocated once is there now
  int failed = 0;
  for (int n = 1; n < 500; ++n) {
    until_failure = n;
    try {
      body();
    } catch (const std::bad_alloc&) {
      ++failed;
    }
    if (until_failure.exchange(0) > 0) {
      EXPECT_GT(failed, 0);
      return;
    }
  }
  ADD_FAILURE() << "there is always one more";
}

// Callables that need the heap, so that their copies fail too.
const std::string long_text(100, 'x');

TEST_P(NoMemory, SpawningThrowsItAndLeavesNothing) {
  inside([] {
    with_each_failing([] {
      auto one = weft::go(weft::fiber_options{"a name that is copied"},
                          [text = long_text] { return text + "y"; });
      EXPECT_EQ(one.join().size(), 101u);
    });
  });
}

TEST_P(NoMemory, GroupsEndWhatHadBegun) {
  inside([] {
    with_each_failing([] {
      std::atomic<int> alive{0};
      struct life {
        std::atomic<int>& of;
        explicit life(std::atomic<int>& a) : of(a) { ++of; }
        ~life() { --of; }
      };
      try {
        weft::group tasks;
        tasks.set_limit(2);
        for (int i = 0; i < 4; ++i)
          tasks.go([&, text = long_text] {
            life mine(alive);
            weft::yield();
            auto copy = std::make_unique<std::string>(text);
          });
        tasks.wait();
      } catch (...) {
        EXPECT_EQ(alive, 0);
        throw;
      }
      EXPECT_EQ(alive, 0);
    });
  });
}

TEST_P(NoMemory, GatherMapAndRaceThrowIt) {
  weft::options options = how();
  options.on_also_failed = [](std::string_view, std::exception_ptr) {};
  weft::run(options, [] {
    auto work = [text = long_text] {
      weft::yield();
      return text + "y";
    };
    with_each_failing([&] {
      auto [a, b] = weft::gather(work, work);
      EXPECT_EQ(a, b);
    });
    with_each_failing([&] { EXPECT_EQ(weft::race(work, work).size(), 101u); });
    with_each_failing([&] {
      const auto made = weft::map(std::vector<std::string>(5, long_text), 2, [](std::string text) {
        weft::yield();
        return std::make_unique<std::string>(std::move(text));
      });
      EXPECT_EQ(made.size(), 5u);
    });
    with_each_failing(
        [&] { weft::with_timeout(1h, [&] { weft::gather(work, [] { weft::sleep(1us); }); }); });
  });
}

// What the workers share holds pointers in chunks, and links the items where it gets none.
TEST(InjectorWithoutMemory, KeepsTheItemsAndTheirOrder) {
  struct item {
    item* next = nullptr;
    int number = 0;
  };
  std::vector<item> all(2000);
  weft::detail::injector<item> shared;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].number = static_cast<int>(i);
    if (i == 300) until_failure = 1;
    shared.push(&all[i]);
  }
  EXPECT_EQ(until_failure, 0) << "it asked for no second chunk";
  EXPECT_EQ(shared.size(), all.size());
  int taken = 0;
  for (auto got = shared.take(100); !got.empty(); got = shared.take(100))
    while (item* each = got.pop()) EXPECT_EQ(each->number, taken++);
  EXPECT_EQ(taken, 2000);
}

}  // namespace
