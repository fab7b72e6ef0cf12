#include "sched/run_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "items.hpp"
#include "model.hpp"

namespace weft::detail {
namespace {

using weft_test::item;
using weft_test::items;

std::vector<int> range(int from, int to) {
  std::vector<int> out;
  for (int i = from; i < to; ++i) out.push_back(i);
  return out;
}

// ---- one thread: order, limits, halves; wherever the 32-bit indices stand

class RunQueue : public testing::TestWithParam<std::uint32_t> {
 protected:
  ready_ring<item, 8> ring{GetParam()};
  ready_ring<item, 8> other{GetParam() + 3};
  fresh_deque<item, 8> deque{GetParam()};
  items<32> all;
};

INSTANTIATE_TEST_SUITE_P(FirstIndex, RunQueue,
                         testing::Values(0u, 0xfffffff8u, 0xfffffffcu, 0xffffffffu, 0x7ffffffcu,
                                         0x80000000u));

TEST_P(RunQueue, TheRingGivesTheOldestFirst) {
  EXPECT_EQ(ring.pop(), nullptr);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(ring.push(&all[i]));
  EXPECT_EQ(ring.size(), 5u);
  EXPECT_EQ(numbers(ring), range(0, 5));
  EXPECT_EQ(ring.size(), 0u);
}

TEST_P(RunQueue, TheRingTakesNoMoreThanItHoldsAndGoesOnAfterwards) {
  for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(ring.push(&all[i]));
  EXPECT_FALSE(ring.push(&all[8]));
  EXPECT_EQ(ring.size(), 8u);
  EXPECT_EQ(ring.pop(), &all[0]);
  EXPECT_TRUE(ring.push(&all[8]));
  EXPECT_FALSE(ring.push(&all[9]));
  EXPECT_EQ(numbers(ring), range(1, 9));
}

TEST_P(RunQueue, TheRingGivesAwayItsOlderHalf) {
  EXPECT_TRUE(ring.take_half().empty());
  for (std::size_t i = 0; i < 8; ++i) ring.push(&all[i]);
  auto half = ring.take_half();
  EXPECT_EQ(half.size(), 4u);
  EXPECT_EQ(numbers(half), range(0, 4));
  EXPECT_EQ(numbers(ring), range(4, 8));
}

TEST_P(RunQueue, AThiefTakesTheOlderHalfRoundedUpAndRunsOneOfThem) {
  for (std::size_t i = 0; i < 5; ++i) ring.push(&all[i]);
  item* first = ring.steal_half(other);
  EXPECT_EQ(first, &all[2]);
  EXPECT_EQ(other.size(), 2u);
  EXPECT_EQ(numbers(other), range(0, 2));
  EXPECT_EQ(numbers(ring), range(3, 5));
}

TEST_P(RunQueue, AThiefTakesASingleItemAndNothingFromAnEmptyRing) {
  EXPECT_EQ(ring.steal_half(other), nullptr);
  ring.push(&all[0]);
  EXPECT_EQ(ring.steal_half(other), &all[0]);
  EXPECT_EQ(other.size(), 0u);
  EXPECT_EQ(ring.pop(), nullptr);
}

TEST_P(RunQueue, AThiefTakesHalfOfAFullRing) {
  for (std::size_t i = 0; i < 8; ++i) ring.push(&all[i]);
  EXPECT_EQ(ring.steal_half(other), &all[3]);
  EXPECT_EQ(numbers(other), range(0, 3));
  EXPECT_EQ(numbers(ring), range(4, 8));
}

TEST_P(RunQueue, TheRingKeepsOrderOverManyTurns) {
  std::size_t in = 0, out = 0;
  for (int turn = 0; turn < 100; ++turn) {
    for (std::size_t i = 0; i < 5; ++i) ASSERT_TRUE(ring.push(&all[in++ % 32]));
    for (std::size_t i = 0; i < 5; ++i) ASSERT_EQ(ring.pop(), &all[out++ % 32]);
  }
}

TEST_P(RunQueue, TheRingOfOneWithoutThievesDoesTheSame) {
  constexpr auto relaxed = std::memory_order_relaxed;
  EXPECT_EQ(ring.pop_unshared(), nullptr);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(ring.push<relaxed>(&all[i]));
  EXPECT_FALSE(ring.push<relaxed>(&all[8]));
  EXPECT_EQ(ring.pop_unshared(), &all[0]);
  EXPECT_EQ(numbers(ring.take_half()), range(1, 4));
  for (std::size_t i = 4; i < 8; ++i) EXPECT_EQ(ring.pop_unshared(), &all[i]);
  EXPECT_EQ(ring.pop_unshared(), nullptr);
  EXPECT_EQ(ring.size(), 0u);
}

TEST_P(RunQueue, TheDequeGivesItsOwnerTheNewestAndThievesTheOldest) {
  EXPECT_EQ(deque.pop(), nullptr);
  EXPECT_EQ(deque.steal(), nullptr);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_TRUE(deque.push(&all[i]));
  EXPECT_EQ(deque.size(), 6u);
  EXPECT_EQ(deque.pop(), &all[5]);
  EXPECT_EQ(deque.steal(), &all[0]);
  EXPECT_EQ(deque.pop(), &all[4]);
  EXPECT_EQ(deque.steal(), &all[1]);
  EXPECT_EQ(deque.pop(), &all[3]);
  EXPECT_EQ(deque.pop(), &all[2]);
  EXPECT_EQ(deque.pop(), nullptr);
  EXPECT_EQ(deque.steal(), nullptr);
  EXPECT_EQ(deque.size(), 0u);
}

TEST_P(RunQueue, TheDequeTakesNoMoreThanItHoldsAndGoesOnAfterwards) {
  for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(deque.push(&all[i]));
  EXPECT_FALSE(deque.push(&all[8]));
  EXPECT_EQ(deque.steal(), &all[0]);
  EXPECT_TRUE(deque.push(&all[8]));
  EXPECT_FALSE(deque.push(&all[9]));
  EXPECT_EQ(deque.pop(), &all[8]);
}

TEST_P(RunQueue, TheDequeGivesAwayItsOlderHalf) {
  EXPECT_TRUE(deque.take_half().empty());
  for (std::size_t i = 0; i < 8; ++i) deque.push(&all[i]);
  auto half = deque.take_half();
  EXPECT_EQ(numbers(half), range(0, 4));
  EXPECT_EQ(numbers(deque), (std::vector<int>{7, 6, 5, 4}));
}

TEST_P(RunQueue, TheDequeOfOneWithoutThievesDoesTheSame) {
  constexpr auto relaxed = std::memory_order_relaxed;
  EXPECT_EQ(deque.pop_unshared(), nullptr);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(deque.push<relaxed>(&all[i]));
  EXPECT_FALSE(deque.push<relaxed>(&all[8]));
  EXPECT_EQ(deque.pop_unshared(), &all[7]);
  EXPECT_EQ(deque.steal(), &all[0]);
  EXPECT_EQ(numbers(deque.take_half()), range(1, 5));
  EXPECT_EQ(deque.pop_unshared(), &all[6]);
  EXPECT_EQ(deque.pop_unshared(), &all[5]);
  EXPECT_EQ(deque.pop_unshared(), nullptr);
  EXPECT_EQ(deque.size(), 0u);
}

TEST_P(RunQueue, TheDequeStaysUsableAfterManyPopsOfNothing) {
  for (std::size_t turn = 0; turn < 100; ++turn) {
    ASSERT_EQ(deque.pop(), nullptr);
    ASSERT_TRUE(deque.push(&all[turn % 32]));
    ASSERT_EQ(turn % 2 == 0 ? deque.pop() : deque.steal(), &all[turn % 32]);
    ASSERT_EQ(deque.pop(), nullptr);
    ASSERT_EQ(deque.size(), 0u);
  }
}

// ---- every interleaving of an owner and thieves, at tiny sizes

constexpr std::uint32_t just_before_the_wrap = 0xffffffff;

// The items of a run, at the same addresses in each, so that equal states look equal.
items<8> pool;

void take(item* got) {
  if (got != nullptr) ++got->taken;
}
void take_all(batch<item> got) {
  while (item* each = got.pop()) ++each->taken;
}

struct ring_world {
  using ring = ready_ring<item, 4, model::atomic>;
  ring owned{just_before_the_wrap};
  ring thiefs{5};
  ring second_thiefs{9};

  void push(int number) {
    while (!owned.push(&pool[static_cast<std::size_t>(number)])) take_all(owned.take_half());
  }
  void check(int pushed) {
    for (ring* each : {&owned, &thiefs, &second_thiefs})
      while (item* left = each->pop()) ++left->taken;
    for (const item& each : pool)
      model::require(each.taken == (each.number < pushed ? 1 : 0),
                     "an item was lost or taken twice");
  }
};

struct deque_world {
  using deque = fresh_deque<item, 4, model::atomic>;
  deque owned{just_before_the_wrap};

  void push(int number) {
    while (!owned.push(&pool[static_cast<std::size_t>(number)])) take_all(owned.take_half());
  }
  void check(int pushed) {
    while (item* left = owned.pop()) ++left->taken;
    for (const item& each : pool)
      model::require(each.taken == (each.number < pushed ? 1 : 0),
                     "an item was lost or taken twice");
  }
};

// Each thread is a function of the world. All get fresh items.
template <class World, class... Threads>
model::outcome explore(model::options options, int pushed, Threads... threads) {
  return model::explore(
      [=] {
        pool = items<8>();
        auto world = std::make_shared<World>();
        model::program now;
        (now.threads.push_back([=] { threads(*world); }), ...);
        now.at_rest = [=] { world->check(pushed); };
        return now;
      },
      options);
}

class EveryInterleaving : public testing::TestWithParam<bool> {
 protected:
  model::options memory() const {
    model::options wanted;
    wanted.weak = GetParam();
    return wanted;
  }
  static void expect_none_breaks(const model::outcome& found) {
    EXPECT_EQ(found.failure, "") << found.trace;
    EXPECT_GT(found.states, 50u);
    RecordProperty("states", static_cast<int>(found.states));
  }
};

INSTANTIATE_TEST_SUITE_P(Memory, EveryInterleaving, testing::Bool(), [](const auto& of) {
  return of.param ? std::string("Weak") : std::string("SequentiallyConsistent");
});

void ring_owner_of_three(ring_world& world) {
  world.push(0);
  world.push(1);
  take(world.owned.pop());
  world.push(2);
  take(world.owned.pop());
  take(world.owned.pop());
}
void ring_thief(ring_world& world) {
  take(world.owned.steal_half(world.thiefs));
  take(world.thiefs.pop());
  take(world.owned.steal_half(world.thiefs));
}
void thief_of_the_thief(ring_world& world) { take(world.thiefs.steal_half(world.second_thiefs)); }

TEST_P(EveryInterleaving, ARingsOwnerAndAThiefTakeEachItemOnce) {
  expect_none_breaks(explore<ring_world>(memory(), 3, ring_owner_of_three, ring_thief));
}

TEST_P(EveryInterleaving, ARingsOwnerAndTwoThievesTakeEachItemOnce) {
  auto owner = [](ring_world& world) {
    world.push(0);
    world.push(1);
    world.push(2);
    take(world.owned.pop());
  };
  auto second = [](ring_world& world) { take(world.owned.steal_half(world.second_thiefs)); };
  auto first = [](ring_world& world) { take(world.owned.steal_half(world.thiefs)); };
  expect_none_breaks(explore<ring_world>(memory(), 3, owner, first, second));
}

TEST_P(EveryInterleaving, AThiefOfAThiefTakesNoItemTwice) {
  auto owner = [](ring_world& world) {
    world.push(0);
    world.push(1);
    world.push(2);
    world.push(3);
  };
  auto thief = [](ring_world& world) {
    take(world.owned.steal_half(world.thiefs));
    take(world.thiefs.pop());
  };
  expect_none_breaks(explore<ring_world>(memory(), 4, owner, thief, thief_of_the_thief));
}

TEST_P(EveryInterleaving, AFullRingGivesItsHalfAwayWhileAThiefStealsFromIt) {
  auto owner = [](ring_world& world) {
    for (int i = 0; i < 6; ++i) world.push(i);
  };
  auto thief = [](ring_world& world) { take(world.owned.steal_half(world.thiefs)); };
  expect_none_breaks(explore<ring_world>(memory(), 6, owner, thief));
}

void deque_owner_of_three(deque_world& world) {
  world.push(0);
  world.push(1);
  take(world.owned.pop());
  world.push(2);
  take(world.owned.pop());
  take(world.owned.pop());
}
void deque_thief(deque_world& world) { take(world.owned.steal()); }
void deque_thief_of_two(deque_world& world) {
  take(world.owned.steal());
  take(world.owned.steal());
}

TEST_P(EveryInterleaving, ADequesOwnerAndAThiefTakeEachItemOnce) {
  expect_none_breaks(explore<deque_world>(memory(), 3, deque_owner_of_three, deque_thief_of_two));
}

TEST_P(EveryInterleaving, ADequesOwnerAndTwoThievesTakeEachItemOnce) {
  auto owner = [](deque_world& world) {
    world.push(0);
    take(world.owned.pop());
    world.push(1);
    take(world.owned.pop());
  };
  expect_none_breaks(explore<deque_world>(memory(), 2, owner, deque_thief, deque_thief));
}

TEST_P(EveryInterleaving, AFullDequeGivesItsHalfAwayWhileAThiefStealsFromIt) {
  auto owner = [](deque_world& world) {
    for (int i = 0; i < 6; ++i) world.push(i);
    take(world.owned.pop());
  };
  expect_none_breaks(explore<deque_world>(memory(), 6, owner, deque_thief_of_two));
}

// The checker finds what it is there to find: the same code with weaker stores breaks.

TEST(EveryInterleavingMutant, ADequeWhoseStoresAreOnlyReleaseHandsAnItemOutTwice) {
  model::options mutant;
  mutant.weak = true;
  mutant.strongest_store = std::memory_order_release;
  const auto found = explore<deque_world>(mutant, 3, deque_owner_of_three, deque_thief_of_two);
  EXPECT_NE(found.failure, "");
}

TEST(EveryInterleavingMutant, ARingWhoseStoresAreRelaxedHandsOutWhatIsNotThere) {
  model::options mutant;
  mutant.weak = true;
  mutant.strongest_store = std::memory_order_relaxed;
  const auto found = explore<ring_world>(mutant, 3, ring_owner_of_three, ring_thief);
  EXPECT_NE(found.failure, "");
}

// ---- threads

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
constexpr int stress_items = 40'000;
#else
constexpr int stress_items = 200'000;
#endif

// An owner that pushes and pops against thieves that steal until it is over.
template <class Owner, class Thief>
void stress(std::vector<item>& all, Owner&& owner, Thief&& thief) {
  std::atomic<bool> over{false};
  std::atomic<int> in_place{0};
  std::vector<std::thread> thieves;
  std::vector<std::vector<int>> got(3);
  for (std::size_t i = 1; i < got.size(); ++i) {
    thieves.emplace_back([&, i] {
      in_place.fetch_add(1);
      while (!over.load(std::memory_order_acquire)) thief(i, got[i]);
      thief(i, got[i]);
    });
  }
  while (in_place.load() < 2) std::this_thread::yield();
  owner(got[0]);
  over.store(true, std::memory_order_release);
  for (std::thread& each : thieves) each.join();
  for (auto& each : got)
    for (int number : each) ++all[static_cast<std::size_t>(number)].taken;
  int wrong = 0;
  for (const item& each : all) wrong += each.taken != 1;
  EXPECT_EQ(wrong, 0);
}

std::vector<item> make_items() {
  std::vector<item> all(static_cast<std::size_t>(stress_items));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].number = static_cast<int>(i);
  return all;
}

TEST(RunQueueStress, ThievesAndOwnerOfARingTakeEachItemOnce) {
  auto all = make_items();
  ready_ring<item, 64> ring(0xffffff00);
  ready_ring<item, 64> loot[3];
  auto owner = [&](std::vector<int>& got) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      while (!ring.push(&all[i])) {
        auto half = ring.take_half();
        while (item* each = half.pop()) got.push_back(each->number);
      }
      if (i % 3 == 0)
        if (item* each = ring.pop()) got.push_back(each->number);
    }
    while (item* each = ring.pop()) got.push_back(each->number);
  };
  auto thief = [&](std::size_t who, std::vector<int>& got) {
    item* each = ring.steal_half(loot[who]);
    if (each == nullptr) each = loot[3 - who].steal_half(loot[who]);  // from the other thief
    if (each != nullptr) got.push_back(each->number);
    while ((each = loot[who].pop()) != nullptr) got.push_back(each->number);
  };
  stress(all, owner, thief);
}

TEST(RunQueueStress, ThievesAndOwnerOfADequeTakeEachItemOnce) {
  auto all = make_items();
  fresh_deque<item, 64> deque(0xffffff00);
  auto owner = [&](std::vector<int>& got) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      while (!deque.push(&all[i])) {
        auto half = deque.take_half();
        while (item* each = half.pop()) got.push_back(each->number);
      }
      for (std::size_t pops = i % 3; pops > 0; --pops)  // often down to the last one
        if (item* each = deque.pop()) got.push_back(each->number);
    }
    while (item* each = deque.pop()) got.push_back(each->number);
  };
  auto thief = [&](std::size_t, std::vector<int>& got) {
    if (item* each = deque.steal()) got.push_back(each->number);
  };
  stress(all, owner, thief);
}

}  // namespace
}  // namespace weft::detail
