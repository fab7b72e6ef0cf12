#include "base/intrusive_list.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weft::detail {
namespace {

struct item : list_hook {
  explicit item(int number) : value(number) {}
  int value;
};

std::vector<int> values(intrusive_list<item>& list) {
  std::vector<int> out;
  list.for_each([&out](item& each) { out.push_back(each.value); });
  return out;
}

TEST(IntrusiveList, ItemsComeOutInTheOrderTheyWentIn) {
  intrusive_list<item> list;
  item a(1), b(2), c(3);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(a);
  list.push_back(b);
  list.push_back(c);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &b);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AnItemLeavesWithoutKnowingItsList) {
  intrusive_list<item> list;
  item a(1), b(2), c(3);
  for (item* each : {&a, &b, &c}) list.push_back(*each);
  intrusive_list<item>::erase(b);
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
  intrusive_list<item>::erase(c);
  intrusive_list<item>::erase(a);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, LinkedTellsWhetherAnItemStandsInAList) {
  intrusive_list<item> list;
  item a(1);
  EXPECT_FALSE(a.linked());
  list.push_back(a);
  EXPECT_TRUE(a.linked());
  list.pop_front();
  EXPECT_FALSE(a.linked());
  list.push_back(a);
  intrusive_list<item>::erase(a);
  EXPECT_FALSE(a.linked());
}

TEST(IntrusiveList, TheVisitedItemMayLeaveDuringTheVisit) {
  intrusive_list<item> list;
  item a(1), b(2), c(3), d(4);
  for (item* each : {&a, &b, &c, &d}) list.push_back(*each);
  list.for_each([](item& each) {
    if (each.value % 2 == 0) intrusive_list<item>::erase(each);
  });
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
}

struct by_name : list_hook {};
struct by_age : list_hook {};
struct person : by_name, by_age {
  int id = 0;
};

TEST(IntrusiveList, AnItemWithTwoHooksStandsInTwoLists) {
  intrusive_list<person, by_name> names;
  intrusive_list<person, by_age> ages;
  person a, b;
  names.push_back(a);
  names.push_back(b);
  ages.push_back(b);
  ages.push_back(a);
  EXPECT_EQ(names.pop_front(), &a);
  EXPECT_EQ(ages.front(), &b);
  intrusive_list<person, by_age>::erase(b);
  EXPECT_EQ(ages.pop_front(), &a);
  EXPECT_EQ(names.pop_front(), &b);
  EXPECT_TRUE(names.empty());
  EXPECT_TRUE(ages.empty());
}

struct queued {
  queued* next = nullptr;
};

TEST(IntrusiveQueue, ItemsComeOutInTheOrderTheyWentIn) {
  intrusive_queue<queued> queue;
  queued items[3];
  EXPECT_EQ(queue.pop(), nullptr);
  for (queued& each : items) queue.push(&each);
  EXPECT_EQ(queue.size(), 3u);
  for (queued& each : items) EXPECT_EQ(queue.pop(), &each);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(IntrusiveQueue, APoppedItemHasNoSuccessor) {
  intrusive_queue<queued> queue;
  queued items[2];
  queue.push(&items[0]);
  queue.push(&items[1]);
  EXPECT_EQ(queue.pop()->next, nullptr);
}

TEST(IntrusiveQueue, AnAppendedQueueFollowsAndIsLeftEmpty) {
  queued items[4];
  intrusive_queue<queued> first, second;
  first.push(&items[0]);
  first.push(&items[1]);
  second.push(&items[2]);
  second.push(&items[3]);
  first.append(second);
  EXPECT_EQ(first.size(), 4u);
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(second.size(), 0u);
  for (queued& each : items) EXPECT_EQ(first.pop(), &each);
  EXPECT_EQ(first.pop(), nullptr);
}

TEST(IntrusiveQueue, AppendingToOrOfAnEmptyQueueKeepsTheOther) {
  queued items[2];
  intrusive_queue<queued> empty, full;
  full.push(&items[0]);
  full.append(empty);
  EXPECT_EQ(full.size(), 1u);
  intrusive_queue<queued> target;
  target.append(full);
  target.push(&items[1]);
  EXPECT_EQ(target.pop(), &items[0]);
  EXPECT_EQ(target.pop(), &items[1]);
}

TEST(IntrusiveQueue, AnEmptiedQueueTakesItemsAgain) {
  queued items[2];
  intrusive_queue<queued> queue;
  queue.push(&items[0]);
  EXPECT_EQ(queue.pop(), &items[0]);
  queue.push(&items[1]);
  EXPECT_EQ(queue.pop(), &items[1]);
  EXPECT_EQ(queue.pop(), nullptr);
}

}  // namespace
}  // namespace weft::detail
