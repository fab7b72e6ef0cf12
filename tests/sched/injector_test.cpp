#include "sched/injector.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "items.hpp"

namespace weft::detail {
namespace {

using weft_test::item;
using weft_test::items;

class Injector : public testing::Test {
 protected:
  items<8> all;
  injector<item> shared;
};

TEST_F(Injector, GivesTheOldestFirst) {
  shared.push(&all[0]);
  shared.push(&all[1]);
  shared.push(all.some(2, 5));
  shared.push(&all[5]);
  EXPECT_EQ(shared.size(), 6u);
  EXPECT_EQ(numbers(shared.take(4)), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(shared.size(), 2u);
  EXPECT_EQ(numbers(shared.take(4)), (std::vector<int>{4, 5}));
  EXPECT_EQ(shared.size(), 0u);
}

TEST_F(Injector, GivesNothingWhenItIsEmptyOrNothingIsWanted) {
  EXPECT_TRUE(shared.take(3).empty());
  shared.push(&all[0]);
  EXPECT_TRUE(shared.take(0).empty());
  EXPECT_EQ(shared.size(), 1u);
  EXPECT_EQ(shared.take(1).pop(), &all[0]);
  EXPECT_TRUE(shared.take(1).empty());
}

TEST_F(Injector, TakesAnEmptyBatch) {
  shared.push(batch<item>());
  EXPECT_EQ(shared.size(), 0u);
  shared.push(&all[3]);
  shared.push(batch<item>());
  EXPECT_EQ(numbers(shared.take(5)), (std::vector<int>{3}));
}

TEST_F(Injector, ATakenItemMayBePushedAgain) {
  shared.push(all.some(0, 3));
  auto got = shared.take(2);
  while (item* each = got.pop()) shared.push(each);
  EXPECT_EQ(numbers(shared.take(8)), (std::vector<int>{2, 0, 1}));
}

TEST(InjectorChunks, KeepTheOrderOverManyChunks) {
  constexpr int count = 5000;
  std::vector<item> all(count);
  injector<item> shared;
  int pushed = 0, taken = 0;
  while (taken < count) {
    for (int i = 0; i < 700 && pushed < count; ++i, ++pushed) {
      all[static_cast<std::size_t>(pushed)].number = pushed;
      shared.push(&all[static_cast<std::size_t>(pushed)]);
    }
    for (int i = 0; i < 4; ++i) {
      auto got = shared.take(1000);
      EXPECT_LE(got.size(), 128u);
      while (item* each = got.pop()) EXPECT_EQ(each->number, taken++);
    }
    EXPECT_EQ(shared.size(), static_cast<std::size_t>(pushed - taken));
  }
}

TEST(InjectorStress, EachItemIsTakenOnceAndEachProducersInOrder) {
  constexpr int producers = 2, consumers = 2, each_makes = 20'000;
  injector<item> shared;
  std::vector<std::vector<item>> made(producers, std::vector<item>(each_makes));
  std::vector<std::vector<item*>> got(consumers);
  std::atomic<int> left{producers * each_makes};
  std::vector<std::thread> threads;
  for (std::size_t p = 0; p < producers; ++p) {
    threads.emplace_back([&, p] {
      batch<item> pending;
      for (int i = 0; i < each_makes; ++i) {
        item& fresh = made[p][static_cast<std::size_t>(i)];
        fresh.producer = static_cast<int>(p);
        fresh.number = i;
        if (i % 7 < 3) {
          shared.push(pending);
          pending = batch<item>();
          shared.push(&fresh);
        } else {
          pending.push(&fresh);
        }
      }
      shared.push(pending);
    });
  }
  for (std::size_t c = 0; c < consumers; ++c) {
    threads.emplace_back([&, c] {
      while (left.load(std::memory_order_relaxed) > 0) {
        auto some = shared.take(5);
        if (some.empty()) std::this_thread::yield();
        left.fetch_sub(static_cast<int>(some.size()), std::memory_order_relaxed);
        while (item* each = some.pop()) got[c].push_back(each);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  std::size_t total = 0;
  for (const auto& by_one : got) {
    total += by_one.size();
    int last[producers] = {-1, -1};
    for (const item* each : by_one) {
      EXPECT_LT(last[each->producer], each->number);
      last[each->producer] = each->number;
    }
  }
  EXPECT_EQ(total, std::size_t{producers} * each_makes);
  EXPECT_EQ(left.load(), 0);
  EXPECT_EQ(shared.size(), 0u);
}

}  // namespace
}  // namespace weft::detail
