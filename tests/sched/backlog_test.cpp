#include "sched/backlog.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "items.hpp"

namespace weft::detail {
namespace {

using weft_test::item;
using weft_test::items;

class Backlog : public testing::Test {
 protected:
  void push(std::size_t from, std::size_t to) { waiting.push(all.some(from, to)); }

  items<100'000> all;
  backlog<item> waiting;
};

TEST_F(Backlog, GivesItsOwnerTheNewestBatchAndOthersTheOldest) {
  push(0, 2);
  push(2, 4);
  push(4, 6);
  EXPECT_FALSE(waiting.empty());
  EXPECT_EQ(numbers(waiting.take_newest()), (std::vector<int>{4, 5}));
  EXPECT_EQ(numbers(waiting.take_oldest()), (std::vector<int>{0, 1}));
  EXPECT_EQ(numbers(waiting.take_oldest()), (std::vector<int>{2, 3}));
  EXPECT_TRUE(waiting.empty());
  EXPECT_TRUE(waiting.take_newest().empty());
  EXPECT_TRUE(waiting.take_oldest().empty());
}

TEST_F(Backlog, GivesOneOfTheOldestBatchAtATime) {
  push(0, 2);
  push(2, 3);
  EXPECT_EQ(waiting.pop_oldest(), &all[0]);
  EXPECT_EQ(waiting.pop_oldest(), &all[1]);
  EXPECT_FALSE(waiting.empty());
  EXPECT_EQ(waiting.pop_oldest(), &all[2]);
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(waiting.pop_oldest(), nullptr);
}

TEST_F(Backlog, CountsItemsNotBatches) {
  push(0, 100);
  push(100, 103);
  push(103, 105);
  EXPECT_EQ(waiting.size(), 105u);
  waiting.take_newest();
  EXPECT_EQ(waiting.size(), 103u);
  waiting.pop_oldest();
  EXPECT_EQ(waiting.size(), 102u);
  waiting.take_oldest();
  EXPECT_EQ(waiting.size(), 3u);
  waiting.take_newest();
  EXPECT_EQ(waiting.size(), 0u);
  EXPECT_EQ(waiting.pop_oldest(), nullptr);
  waiting.take_newest();
  EXPECT_EQ(waiting.size(), 0u);
}

TEST_F(Backlog, TakesAnEmptyBatch) {
  push(0, 0);
  EXPECT_TRUE(waiting.empty());
}

TEST_F(Backlog, OwnerAndThievesGetEachItemOnce) {
  std::vector<std::atomic<int>> seen(all.size());
  std::atomic<std::size_t> left{all.size()};
  const auto count = [&](batch<item> got) {
    while (item* each = got.pop()) {
      seen[static_cast<std::size_t>(each->number)].fetch_add(1);
      left.fetch_sub(1);
    }
  };
  std::vector<std::thread> thieves;
  for (int t = 0; t < 2; ++t) {
    thieves.emplace_back([&, t] {
      while (left.load() > 0) {
        if (waiting.empty()) continue;
        if (t == 0) {
          count(waiting.take_oldest());
        } else if (item* one = waiting.pop_oldest()) {
          batch<item> got;
          got.push(one);
          count(got);
        }
      }
    });
  }
  for (std::size_t at = 0; at < all.size(); at += 100) {
    push(at, at + 100);
    if (at % 300 == 0) count(waiting.take_newest());
  }
  while (left.load() > 0) count(waiting.take_newest());
  for (auto& each : thieves) each.join();
  for (auto& each : seen) ASSERT_EQ(each.load(), 1);
  EXPECT_EQ(waiting.size(), 0u);
}

}  // namespace
}  // namespace weft::detail
