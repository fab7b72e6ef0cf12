// The model checker itself: it finds the textbook errors, and clears the textbook cures.
#include "model.hpp"

#include <gtest/gtest.h>

namespace {

struct two_words {
  model::atomic<int> x{0}, y{0};
  int first = -1, second = -1;
};

model::program increments(bool in_one_step) {
  auto shared = std::make_shared<two_words>();
  auto add = [shared, in_one_step] {
    if (in_one_step)
      shared->x.fetch_add(1);
    else
      shared->x.store(shared->x.load() + 1);
  };
  return {{add, add}, [shared] { model::require(shared->x.visible() == 2, "lost"); }};
}

TEST(Model, ALostUpdateIsFound) {
  const auto found = model::explore([] { return increments(false); });
  EXPECT_EQ(found.failure, "lost");
  EXPECT_NE(found.trace.find("thread 1: store"), std::string::npos) << found.trace;
}

TEST(Model, AnUpdateInOneStepIsNeverLost) {
  EXPECT_EQ(model::explore([] { return increments(true); }).failure, "");
}

// Each says its own and looks for the other's: one of them must see it.
model::program says_and_looks(std::memory_order how) {
  auto shared = std::make_shared<two_words>();
  return {{[=] {
             shared->x.store(1, how);
             shared->first = shared->y.load(std::memory_order_seq_cst);
           },
           [=] {
             shared->y.store(1, how);
             shared->second = shared->x.load(std::memory_order_seq_cst);
           }},
          [=] { model::require(shared->first + shared->second > 0, "neither saw the other"); }};
}

model::options weak() {
  model::options wanted;
  wanted.weak = true;
  return wanted;
}

TEST(Model, ABufferedStoreIsSeenTooLate) {
  const auto found =
      model::explore([] { return says_and_looks(std::memory_order_release); }, weak());
  EXPECT_EQ(found.failure, "neither saw the other");
}

TEST(Model, ASequentiallyConsistentStoreIsSeenInTime) {
  EXPECT_EQ(
      model::explore([] { return says_and_looks(std::memory_order_seq_cst); }, weak()).failure, "");
}

// One writes data and raises a flag; who sees the flag must see the data.
model::program message(std::memory_order how) {
  auto shared = std::make_shared<two_words>();
  return {{[=] {
             shared->x.store(42, std::memory_order_relaxed);
             shared->y.store(1, how);
           },
           [=] {
             if (shared->y.load(std::memory_order_acquire) == 1)
               model::require(shared->x.load(std::memory_order_relaxed) == 42, "no data");
           }}};
}

TEST(Model, ARelaxedFlagMayOvertakeItsData) {
  EXPECT_EQ(model::explore([] { return message(std::memory_order_relaxed); }, weak()).failure,
            "no data");
}

TEST(Model, AReleasedFlagFollowsItsData) {
  EXPECT_EQ(model::explore([] { return message(std::memory_order_release); }, weak()).failure, "");
}

TEST(Model, AThreadThatWaitsForEverIsAtRest) {
  bool rested = false;
  const auto found = model::explore([&] {
    auto shared = std::make_shared<two_words>();
    model::program now;
    now.threads.push_back(
        [=] { shared->x.await_exchange([=] { return shared->y.visible() == 1; }, 1); });
    now.at_rest = [&rested] { rested = true; };
    return now;
  });
  EXPECT_EQ(found.failure, "");
  EXPECT_TRUE(rested);
}

TEST(Model, ALoopWithoutEndIsFound) {
  const auto found = model::explore([] {
    auto shared = std::make_shared<two_words>();
    auto loop = [=] {
      while (shared->x.load() == 0 && !model::closing()) {
      }
    };
    return model::program{{loop, loop}};
  });
  EXPECT_EQ(found.failure, "no end: a livelock");
}

TEST(Model, ALockKeepsOthersOut) {
  auto make = [](bool locked) {
    return [locked] {
      auto shared = std::make_shared<two_words>();
      auto guard = std::make_shared<model::lock>();
      auto add = [=] {
        if (locked) guard->acquire();
        shared->x.store(shared->x.load() + 1, std::memory_order_relaxed);
        if (locked) guard->release();
      };
      return model::program{{add, add, add},
                            [=] { model::require(shared->x.visible() == 3, "lost"); }};
    };
  };
  EXPECT_EQ(model::explore(make(true), weak()).failure, "");
  EXPECT_EQ(model::explore(make(false), weak()).failure, "lost");
}

}  // namespace
