// The n-th allocation fails: whatever was called throws std::bad_alloc, or the child in which it
// happened does; nothing hangs, ends the process or stays behind.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "sched/injector.hpp"
#include "support/failing_new.hpp"
#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::until_failure;
using weft_test::with_each_failing;

class NoMemory : public weft_test::fiber_fixture {};
FIBER_SUITE(NoMemory);

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
    // If one fails and the other does not, nothing is heard of it.
    weft_test::failures_heard([&] { EXPECT_EQ(weft::race(work, work).size(), 101u); });
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
