#include "sched/idle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "model.hpp"
#include "sched/run_queue.hpp"

namespace weft::detail {
namespace {

// ---- one thread

TEST(Idle, NobodyIsPickedWhileNobodySleeps) {
  idle_set idle(4);
  EXPECT_FALSE(idle.anyone_asleep());
  EXPECT_EQ(idle.pick_sleeper(), -1);
  EXPECT_TRUE(idle.try_search());  // the attempt left no searcher behind
  EXPECT_TRUE(idle.stop_searching());
}

TEST(Idle, ThereIsSomeoneToWakeWhileOneSleepsAndNoneSearches) {
  idle_set idle(4);
  EXPECT_FALSE(idle.anyone_to_wake());
  idle.publish_asleep(1);
  EXPECT_TRUE(idle.anyone_to_wake());
  EXPECT_TRUE(idle.try_search());
  EXPECT_FALSE(idle.anyone_to_wake());
  EXPECT_TRUE(idle.stop_searching());
  EXPECT_EQ(idle.pick_sleeper(), 1);
  EXPECT_FALSE(idle.anyone_to_wake());
}

TEST(Idle, APickedSleeperCountsAsASearcher) {
  idle_set idle(4);
  idle.publish_asleep(2);
  idle.publish_asleep(3);
  EXPECT_EQ(idle.pick_sleeper(), 2);
  EXPECT_FALSE(idle.is_asleep(2));
  EXPECT_EQ(idle.pick_sleeper(), -1) << "one wakes at a time";
  EXPECT_FALSE(idle.retract(2)) << "a waker had cleared it";
  EXPECT_TRUE(idle.stop_searching());
  EXPECT_EQ(idle.pick_sleeper(), 3);
}

TEST(Idle, ASleeperThatWakesByItselfIsNoSearcher) {
  idle_set idle(4);
  idle.publish_asleep(1);
  EXPECT_TRUE(idle.is_asleep(1));
  EXPECT_TRUE(idle.retract(1));
  EXPECT_FALSE(idle.anyone_asleep());
  EXPECT_TRUE(idle.try_search());
  EXPECT_TRUE(idle.stop_searching());
}

TEST(Idle, AtMostHalfOfTheWorkersSearch) {
  idle_set idle(5);
  EXPECT_TRUE(idle.try_search());
  EXPECT_TRUE(idle.try_search());
  EXPECT_TRUE(idle.try_search());
  EXPECT_FALSE(idle.try_search());
  EXPECT_FALSE(idle.stop_searching());
  EXPECT_TRUE(idle.try_search());
  EXPECT_FALSE(idle.stop_searching());
  EXPECT_FALSE(idle.stop_searching());
  EXPECT_TRUE(idle.stop_searching());
}

TEST(Idle, WorkersBeyondTheFirstWordSleepAndWakeToo) {
  idle_set idle(idle_set::most_workers);
  for (unsigned worker : {63u, 64u, 127u, 128u, 1000u, 1023u}) {
    idle.publish_asleep(worker);
    EXPECT_TRUE(idle.is_asleep(worker));
    EXPECT_EQ(idle.pick_sleeper(), static_cast<int>(worker));
    EXPECT_TRUE(idle.stop_searching());
  }
  EXPECT_FALSE(idle.anyone_asleep());
}

// ---- every interleaving of workers and submitters

// What a submitter fills and workers empty, as a number: any thread may push.
class counted_work {
 public:
  void push() { queued_.fetch_add(1); }
  bool take() {
    unsigned seen = queued_.load();
    while (seen != 0)
      if (queued_.compare_exchange_weak(seen, seen - 1)) return true;
    return false;
  }
  bool visible() { return queued_.load() != 0; }

 private:
  model::atomic<unsigned> queued_;
};

struct token {
  token* next = nullptr;
};

// The queue of a worker that is busy in user code: only that one pushes.
class ring_work {
 public:
  void push() { ring_.push(&token_); }
  bool take() { return ring_.pop() != nullptr; }
  bool visible() { return ring_.size() > 0; }

 private:
  inline static token token_;
  ready_ring<token, 4, model::atomic> ring_;
};

class deque_work {
 public:
  void push() { deque_.push(&token_); }
  bool take() { return deque_.steal() != nullptr; }
  bool visible() { return deque_.size() > 0; }

 private:
  inline static token token_;
  fresh_deque<token, 4, model::atomic> deque_;
};

enum class mutant {
  none,
  looks_before_it_publishes,
  wakes_before_it_pushes,
  sleeps_as_a_searcher,
  leaves_the_rest_alone,
  finds_at_the_last_look_and_tells_nobody,
  gathers_for_others_only
};

// The loop of worker_idle.cpp with one queue, where a fiber is done as soon as it is taken.
template <class Work>
struct house {
  house(unsigned workers, bool endless_fiber, mutant which)
      : idle(workers), count(workers), endless(endless_fiber), broken(which) {}

  basic_idle_set<model::atomic> idle;
  const unsigned count;
  const bool endless;  // what worker 0 takes never comes to an end
  const mutant broken;
  Work work;
  model::atomic<bool> wakes[2];
  model::atomic<unsigned> device;  // what a poll of worker 0 brings
  model::atomic<bool> end_of_time;

  void wake_one() {
    const int sleeper = idle.pick_sleeper();
    if (sleeper >= 0) wakes[sleeper].store(true);
  }

  void submitter(unsigned pushes) {
    for (; pushes > 0; --pushes) {
      model::forget(pushes * 2);
      if (broken == mutant::wakes_before_it_pushes) wake_one();
      work.push();
      model::forget(pushes * 2 + 1);
      if (broken != mutant::wakes_before_it_pushes) wake_one();
    }
    model::forget(0);
  }

  // Still published as asleep, and wakes nobody: idle.hpp (5).
  void gather() {
    for (unsigned brought = device.exchange(0); brought > 0; --brought) work.push();
  }

  void worker(unsigned me) {
    bool searching = false;
    bool found = false;
    enum place { top, took, found_nothing, stopped, published, looked, woke };
    auto at = [&](place where) { model::forget(where * 4u + searching * 2u + found); };
    for (;; found = false) {
      at(top);
      if (work.take()) {
        at(took);
        if (searching) {
          searching = false;
          const bool last = idle.stop_searching();
          if (broken != mutant::leaves_the_rest_alone && last && work.visible()) wake_one();
        }
        if (endless && me == 0) {
          end_of_time.await_exchange([] { return false; }, true);
          return;
        }
        continue;
      }
      at(found_nothing);
      if (count > 1 && !searching && (searching = idle.try_search())) continue;
      if (searching && broken != mutant::sleeps_as_a_searcher) {
        searching = false;
        idle.stop_searching();
      }
      at(stopped);
      if (broken == mutant::looks_before_it_publishes) found = work.visible();
      idle.publish_asleep(me);
      at(published);
      if (broken != mutant::looks_before_it_publishes) found = work.visible();
      at(looked);
      if (!found) {
        wakes[me].await_exchange([this, me] { return wakes[me].visible(); }, false);
        if (model::closing()) return;
        if (me == 0) gather();
      }
      at(woke);
      if (!idle.retract(me))
        searching = true;
      else if (broken == mutant::gathers_for_others_only && work.visible())
        return;
      else if (found && broken != mutant::finds_at_the_last_look_and_tells_nobody)
        searching = idle.try_search();
    }
  }

  void check() {
    if (!idle.anyone_asleep()) return;
    model::require(!work.visible(), "there is work, and one sleeps");
    model::require(idle.pick_sleeper() >= 0, "nobody can be woken any more");
  }
};

struct cast {
  unsigned workers = 1;
  unsigned submitters = 1;
  unsigned pushes = 1;
  bool stray_wake = false;  // of worker 0, by a timer or by I/O
  bool endless = false;
  unsigned brings = 0;  // the stray wake
};

template <class Work = counted_work>
model::outcome explore(cast who, model::options options = {}, mutant broken = mutant::none) {
  return model::explore(
      [=] {
        auto shared = std::make_shared<house<Work>>(who.workers, who.endless, broken);
        model::program now;
        for (unsigned i = 0; i < who.workers; ++i)
          now.threads.push_back([=] { shared->worker(i); });
        for (unsigned i = 0; i < who.submitters; ++i)
          now.threads.push_back([=] { shared->submitter(who.pushes); });
        if (who.stray_wake)
          now.threads.push_back([=] {
            if (who.brings > 0) shared->device.store(who.brings);
            shared->wakes[0].store(true);
          });
        now.at_rest = [=] { shared->check(); };
        return now;
      },
      options);
}

void expect_nothing_lost(const model::outcome& found) {
  EXPECT_EQ(found.failure, "") << found.trace;
  EXPECT_GT(found.states, 20u);
  testing::Test::RecordProperty("states", static_cast<int>(found.states));
}

model::options weak(std::memory_order strongest_store = std::memory_order_seq_cst) {
  model::options wanted;
  wanted.weak = true;
  wanted.strongest_store = strongest_store;
  return wanted;
}

model::options at_most(std::size_t preemptions) {
  model::options wanted;
  wanted.most_preemptions = std::min(preemptions, model::no_limit);
  return wanted;
}

TEST(IdleInterleaved, APushDuringSleepIsSeen) { expect_nothing_lost(explore({1, 1, 3})); }

TEST(IdleInterleaved, APushDuringAStrayWakeIsSeen) {
  expect_nothing_lost(explore({1, 1, 2, true}));
}

// The second submitter may take the first for a searcher, who was about to wake somebody and then
// found that nobody slept any more.
TEST(IdleInterleaved, TwoSubmittersNeverRelyOnEachOtherInVain) {
  expect_nothing_lost(explore({1, 2, 1}));
}

TEST(IdleInterleaved, TwoWorkersLoseNoWork) { expect_nothing_lost(explore({2, 1, 1})); }

TEST(IdleInterleaved, TwoWorkersLoseNoWorkThatComesInARow) {
  expect_nothing_lost(explore({2, 1, 2}, at_most(4)));
}

TEST(IdleInterleaved, TwoWorkersLoseNoWorkOfTwoSubmitters) {
  expect_nothing_lost(explore({2, 2, 1}, at_most(3)));
}

TEST(IdleInterleaved, ASleeperTakesOverWhatAStuckWorkerCannot) {
  expect_nothing_lost(explore({2, 1, 2, false, true}, at_most(4)));
}

TEST(IdleInterleaved, WhatAPollBringsIsRunThoughItWakesNobody) {
  expect_nothing_lost(explore({2, 1, 1, true, false, 2}, at_most(3)));
}

TEST(IdleInterleaved, ABusyWorkersReadyFiberIsSeen) {
  expect_nothing_lost(explore<ring_work>({1, 1, 2}, weak()));
}

TEST(IdleInterleaved, ABusyWorkersFreshFiberIsSeen) {
  expect_nothing_lost(explore<deque_work>({1, 1, 2}, weak()));
}

// What the checker is there to find.

TEST(IdleMutant, LookingBeforePublishingLosesWork) {
  EXPECT_EQ(explore({1, 1, 1}, {}, mutant::looks_before_it_publishes).failure,
            "there is work, and one sleeps");
}

TEST(IdleMutant, WakingBeforePushingLosesWork) {
  EXPECT_EQ(explore({1, 1, 1}, {}, mutant::wakes_before_it_pushes).failure,
            "there is work, and one sleeps");
}

TEST(IdleMutant, SleepingAsASearcherLosesWork) {
  EXPECT_NE(explore({2, 1, 1}, {}, mutant::sleeps_as_a_searcher).failure, "");
}

TEST(IdleMutant, ALastSearcherThatWakesNobodyLeavesWorkBehind) {
  EXPECT_EQ(explore({2, 1, 2, false, true}, at_most(4), mutant::leaves_the_rest_alone).failure,
            "there is work, and one sleeps");
}

// The submitter took the worker for a searcher, so whatever that finds it finds as one.
TEST(IdleMutant, AFindOfTheLastLookThatCallsNobodyLeavesWorkBehind) {
  EXPECT_EQ(
      explore({2, 1, 2, false, true}, at_most(4), mutant::finds_at_the_last_look_and_tells_nobody)
          .failure,
      "there is work, and one sleeps");
}

TEST(IdleMutant, APollThatRunsNothingOfWhatItBringsLeavesWorkBehind) {
  EXPECT_EQ(explore({2, 1, 1, true, false, 2}, at_most(3), mutant::gathers_for_others_only).failure,
            "there is work, and one sleeps");
}

TEST(IdleMutant, PushingWithAReleaseStoreLosesWork) {
  EXPECT_EQ(explore<ring_work>({1, 1, 1}, weak(std::memory_order_release)).failure,
            "there is work, and one sleeps");
  EXPECT_EQ(explore<deque_work>({1, 1, 1}, weak(std::memory_order_release)).failure,
            "there is work, and one sleeps");
}

}  // namespace
}  // namespace weft::detail
