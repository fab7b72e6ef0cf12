// The word of weft::mutex, under every interleaving of those who lock, give up and unlock.
#include "sync/mutex_word.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "sched/model.hpp"

namespace weft::detail {
namespace {

enum class mutant {
  none,
  heir_joins_as_a_newcomer,      // `woken` stays set, though nobody is on its way
  heir_gives_up_silently,        // the same, when its time is over
  goes_on_before_the_release,    // a waiter that was claimed does not wait for the notifier
  frees_before_it_takes_one_off  // the owner frees the mutex, and then looks for a waiter
};

// A word that nobody may touch once the mutex has been destroyed.
struct mortal_word {
  model::atomic<std::uintptr_t> word{0};
  bool destroyed = false;

  std::uintptr_t load(std::memory_order order) { return alive(word.load(order)); }
  void store(std::uintptr_t value, std::memory_order order) {
    word.store(value, order);
    alive(0);
  }
  std::uintptr_t fetch_or(std::uintptr_t bits, std::memory_order order) {
    return alive(word.fetch_or(bits, order));
  }
  std::uintptr_t fetch_and(std::uintptr_t bits, std::memory_order order) {
    return alive(word.fetch_and(bits, order));
  }
  bool compare_exchange_weak(std::uintptr_t& seen, std::uintptr_t next, std::memory_order one,
                             std::memory_order two) {
    return alive(word.compare_exchange_weak(seen, next, one, two));
  }

  template <class T>
  T alive(T value) const {
    model::require(!destroyed || model::closing(), "a mutex was used after its destruction");
    return value;
  }
};

enum wait_end : int { waiting, notified, timed_out };

struct waiter {
  model::atomic<int> end{waiting};
  model::atomic<bool> released{false};
  std::uintptr_t owner = 0;
  unsigned in_vain = 0;
  bool listed = false;
  bool gone = false;  // the frame that held it
};

struct cast {
  unsigned lockers = 2;
  unsigned rounds = 1;
  unsigned timed = 0;  // so many of the lockers have an alarm of their own
};

// mutex.cpp, reduced to its steps. Only the first pass is allowed here, and one wake in vain.
struct stage {
  static constexpr unsigned in_vain_limit = 1;
  using protocol = mutex_word<mortal_word, 1>;
  using otherwise = protocol::otherwise;
  using entry = protocol::entry;

  stage(cast who, mutant which) : broken(which), left(who.lockers) {
    for (unsigned i = 0; i < who.lockers; ++i) current.push_back(nullptr);
  }

  const mutant broken;
  mortal_word word;
  model::atomic<int> turn;
  std::uintptr_t heir = 0;
  std::uint32_t passes = 0;
  std::deque<waiter*> list;
  std::vector<std::unique_ptr<waiter>> waiters;
  std::vector<waiter*> current;  // of each locker, for its alarm

  // What the rules are about.
  unsigned left;
  int inside = 0;
  bool at_list = false;

  protocol access() { return protocol{word, heir, passes}; }
  static std::uintptr_t identity(unsigned who) { return (who + 1) * 8; }

  void enter_list() {
    model::require(!at_list, "two are at the list");
    at_list = true;
  }
  void leave_list() { at_list = false; }

  // In place of a loop that looks again and again.
  void await_list() {
    turn.await_exchange([this] { return (word.word.visible() & protocol::list_locked) == 0; }, 0);
  }

  bool own_or_join(waiter& node, bool as_heir) {
    for (;;) {
      const entry got = access().enter(node.owner, as_heir, otherwise::join);
      if (got == entry::owned) return true;
      if (got == entry::at_list) break;
      await_list();
      if (model::closing()) return false;
    }
    enter_list();
    node.listed = true;
    if (as_heir)
      list.push_front(&node);
    else
      list.push_back(&node);
    leave_list();
    access().free_list(false);
    return false;
  }

  void leave(waiter& node) {
    while (!access().try_lock_list()) {
      await_list();
      if (model::closing()) return;
    }
    enter_list();
    if (node.listed) list.erase(std::find(list.begin(), list.end(), &node));
    node.listed = false;
    const bool empty = list.empty();
    leave_list();
    access().free_list(empty);
  }

  bool lock(unsigned who) {
    const std::uintptr_t self = identity(who);
    bool as_heir = false;
    bool over = false;
    for (unsigned in_vain = 0;; ++in_vain) {
      otherwise then = over ? otherwise::give_up : otherwise::leave_it;
      if (over && broken == mutant::heir_gives_up_silently) then = otherwise::leave_it;
      if (access().enter(self, as_heir, then) == entry::owned) return true;
      if (over || model::closing()) return false;
      waiters.push_back(std::make_unique<waiter>());
      waiter& node = *waiters.back();
      node.owner = self;
      node.in_vain = in_vain;
      current[who] = &node;
      if (broken == mutant::heir_joins_as_a_newcomer) as_heir = false;
      if (own_or_join(node, as_heir)) {
        current[who] = nullptr;
        return true;
      }
      const int end = node.end.await_exchange([&] { return node.end.visible() != waiting; }, 3);
      current[who] = nullptr;
      if (model::closing()) return false;
      if (end == timed_out) {
        leave(node);
        node.gone = true;
        return access().enter(self, false, otherwise::leave_it) == entry::owned;
      }
      if (broken != mutant::goes_on_before_the_release)
        node.released.await_exchange([&] { return node.released.visible(); }, true);
      node.gone = true;
      as_heir = true;
      over = timed_late[who];
    }
  }

  bool timed_late[4] = {};  // the alarm of that locker rang too late to end a wait

  void alarm(unsigned who) {
    timed_late[who] = true;
    if (waiter* node = current[who]) {
      int nobody = waiting;
      node->end.compare_exchange_strong(nobody, timed_out);
    }
  }

  void unlock(unsigned who) {
    auto me = access();
    const std::uintptr_t self = identity(who);
    protocol::exit how = me.release(self);
    while (how == protocol::exit::list_busy && !model::closing()) {
      await_list();
      how = me.release(self);
    }
    model::require(how != protocol::exit::not_owner, "the owner does not own it");
    if (how != protocol::exit::at_list) return;
    enter_list();
    if (broken == mutant::frees_before_it_takes_one_off) me.wake(0, !list.empty());
    waiter* next = nullptr;
    while (next == nullptr && !list.empty()) {
      next = list.front();
      list.pop_front();
      next->listed = false;
      int nobody = waiting;
      if (!next->end.compare_exchange_strong(nobody, notified)) next = nullptr;
    }
    const bool more = !list.empty();
    leave_list();
    if (next == nullptr)
      me.wake(0, false);
    else if (passes >= 1 || next->in_vain >= in_vain_limit)
      me.hand_over(next->owner, more);
    else
      me.wake(next->owner, more);
    if (next == nullptr) return;
    next->released.store(true);
    model::require(!next->gone, "a notifier used a waiter that had gone on");
  }

  void locker(unsigned who, unsigned rounds) {
    for (; rounds > 0 && !model::closing(); --rounds) {
      if (!lock(who) || model::closing()) continue;
      model::require(++inside == 1, "two own the mutex");
      --inside;
      // The last one through destroys it as soon as it has unlocked it.
      unlock(who);
    }
    if (!model::closing() && --left == 0) {
      model::require(word.word.visible() == 0, "a free mutex has marks left");
      word.destroyed = true;
    }
  }
};

model::outcome explore(cast who, mutant broken = mutant::none, model::options options = {}) {
  return model::explore(
      [=] {
        auto shared = std::make_shared<stage>(who, broken);
        model::program now;
        for (unsigned i = 0; i < who.lockers; ++i)
          now.threads.push_back([=] { shared->locker(i, who.rounds); });
        for (unsigned i = 0; i < who.timed; ++i) now.threads.push_back([=] { shared->alarm(i); });
        now.at_rest = [=] { model::require(shared->left == 0, "one waits for ever"); };
        return now;
      },
      options);
}

model::options weak() {
  model::options wanted;
  wanted.weak = true;
  return wanted;
}

model::options at_most(std::size_t preemptions) {
  model::options wanted;
  wanted.most_preemptions = std::min(preemptions, model::no_limit);
  return wanted;
}

// For a mutant, which needs that many also where others are cut short.
model::options exactly(std::size_t preemptions) {
  model::options wanted;
  wanted.most_preemptions = preemptions;
  return wanted;
}

void expect_holds(const model::outcome& found) {
  EXPECT_EQ(found.failure, "") << found.trace;
  EXPECT_GT(found.states, 5u);
  testing::Test::RecordProperty("states", static_cast<int>(found.states));
}

TEST(MutexWordInterleaved, TwoTakeTurns) {
  expect_holds(explore({2, 1}));
  expect_holds(explore({2, 1}, mutant::none, weak()));
}

TEST(MutexWordInterleaved, TwoComeBack) { expect_holds(explore({2, 2})); }

TEST(MutexWordInterleaved, ThreeTakeTurns) { expect_holds(explore({3, 1})); }

TEST(MutexWordInterleaved, ThreeComeBackAndOneIsPassedOver) {
  expect_holds(explore({3, 2}, mutant::none, at_most(4)));
}

TEST(MutexWordInterleaved, OneGivesUp) {
  expect_holds(explore({2, 2, 1}));
  expect_holds(explore({3, 1, 1}, mutant::none, at_most(4)));
}

TEST(MutexWordInterleaved, TwoGiveUp) {
  expect_holds(explore({3, 1, 2}, mutant::none, at_most(3)));
}

// What the checker is there to find.

TEST(MutexWordMutant, AnHeirThatQueuesLikeANewcomerIsLost) {
  EXPECT_EQ(explore({3, 2}, mutant::heir_joins_as_a_newcomer, exactly(3)).failure,
            "one waits for ever");
}

TEST(MutexWordMutant, AnHeirThatGivesUpSilentlyLosesTheWake) {
  EXPECT_EQ(explore({3, 2, 1}, mutant::heir_gives_up_silently, exactly(3)).failure,
            "one waits for ever");
}

TEST(MutexWordMutant, AWaiterThatGoesOnTooEarlyIsFound) {
  EXPECT_EQ(explore({2, 1}, mutant::goes_on_before_the_release).failure,
            "a notifier used a waiter that had gone on");
}

TEST(MutexWordMutant, FreeingBeforeTakingOneOffIsFound) {
  EXPECT_NE(explore({3, 1}, mutant::frees_before_it_takes_one_off).failure, "");
}

}  // namespace
}  // namespace weft::detail
