// The references of a control block, under every interleaving of the run, a handle, and a canceller
// that finds the fiber in a list and adds one.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "fiber/control.hpp"
#include "model.hpp"

namespace weft::detail {
namespace {

enum class mutant {
  none,
  lets_go_before_it_is_unlisted,  // the run drops its reference while cancellers still find it
  looks_and_subtracts             // two steps where one is needed
};

struct block {
  model::atomic<std::uint32_t> references{2};
  model::lock list_lock;
  bool listed = true;  // guarded by list_lock
  bool freed = false;  // what the rules are about

  void touch() const { model::require(!freed, "touched after it was freed"); }

  void add() {
    touch();
    references.fetch_add(1, std::memory_order_relaxed);
  }
  void drop(mutant broken) {
    touch();
    bool last = false;
    if (broken == mutant::looks_and_subtracts) {
      last = references.load(std::memory_order_acquire) == 1;
      if (!last) references.fetch_sub(1, std::memory_order_acq_rel);
    } else {
      last = drop_one(references);
    }
    if (!last) return;
    touch();
    freed = true;
  }

  void unlist() {
    list_lock.acquire();
    listed = false;
    list_lock.release();
  }
  void end_of_run(mutant broken) {
    if (broken != mutant::lets_go_before_it_is_unlisted) unlist();
    drop(broken);
    if (broken == mutant::lets_go_before_it_is_unlisted) unlist();
  }
  void cancel(mutant broken) {
    list_lock.acquire();
    const bool found = listed;
    if (found) add();
    list_lock.release();
    if (!found) return;
    touch();
    drop(broken);
  }
};

std::string first_failure(mutant broken, unsigned cancellers, bool weak = false) {
  model::options options;
  options.weak = weak;
  return model::explore(
             [=] {
               auto shared = std::make_shared<block>();
               model::program now;
               now.threads.push_back([=] { shared->end_of_run(broken); });
               now.threads.push_back([=] { shared->drop(broken); });
               for (unsigned i = 0; i < cancellers; ++i)
                 now.threads.push_back([=] { shared->cancel(broken); });
               now.at_rest = [=] { model::require(shared->freed, "never freed"); };
               return now;
             },
             options)
      .failure;
}

TEST(ReferenceInterleaved, ABlockIsFreedOnceAndByTheLast) {
  for (const bool weak : {false, true}) {
    EXPECT_EQ(first_failure(mutant::none, 0, weak), "");
    EXPECT_EQ(first_failure(mutant::none, 1, weak), "");
    EXPECT_EQ(first_failure(mutant::none, 2, weak), "");
  }
}

TEST(ReferenceMutant, ACancellerThatFindsABlockWithoutItsRunTouchesWhatIsFreed) {
  EXPECT_NE(first_failure(mutant::lets_go_before_it_is_unlisted, 1), "");
}

TEST(ReferenceMutant, LookingAndSubtractingInTwoStepsFreesNothing) {
  EXPECT_EQ(first_failure(mutant::looks_and_subtracts, 0), "never freed");
}

}  // namespace
}  // namespace weft::detail
