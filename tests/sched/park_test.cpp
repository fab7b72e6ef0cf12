// The word of a wait, under every interleaving of the fiber that parks and those who end the wait.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "fiber/waitable.hpp"
#include "model.hpp"

namespace weft::detail {
namespace {

// ---- one thread

struct fake_fiber : waitable {
  fake_fiber() noexcept : waitable(false) {}

  bool park(bool may_be_interrupted = true, bool cancel_pending = false) {
    begin_wait(may_be_interrupted);
    return publish_parked(word, wait, may_be_interrupted, [=] { return cancel_pending; });
  }
};

TEST(Waitable, AWaitIsWonOnce) {
  fake_fiber fiber;
  fiber.begin_wait(false);
  EXPECT_TRUE(fiber.undecided());
  EXPECT_EQ(try_claim(fiber, wake_reason::timed_out), claim::taken);
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::lost);
  EXPECT_FALSE(fiber.undecided());
  EXPECT_EQ(waitable::reason_of(fiber.word), wake_reason::timed_out);
}

TEST(Waitable, WhoWinsAParkedFiberMustResumeIt) {
  fake_fiber fiber;
  EXPECT_TRUE(fiber.park());
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::must_resume);
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::lost);
  EXPECT_EQ(waitable::reason_of(fiber.word), wake_reason::notified);
}

TEST(Waitable, AWaitWonWhileTheFiberLeavesIsNotPublished) {
  fake_fiber fiber;
  fiber.begin_wait(false);
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::taken);
  EXPECT_FALSE(publish_parked(fiber.word, fiber.wait, false, [] { return false; }));
}

TEST(Waitable, ACancellerEndsOnlyAnInterruptibleWait) {
  fake_fiber fiber;
  EXPECT_TRUE(fiber.park(false));
  EXPECT_FALSE(interrupt_word(fiber.word));
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::must_resume);
  EXPECT_TRUE(fiber.park(true, false)) << "the nudge of before concerns nothing any more";
  EXPECT_TRUE(interrupt_word(fiber.word));
  EXPECT_EQ(waitable::reason_of(fiber.word), wake_reason::cancelled);
  EXPECT_EQ(try_claim(fiber, wake_reason::notified), claim::lost);
}

TEST(Waitable, ANudgeStopsTheNextWaitThatMayBeInterrupted) {
  fake_fiber fiber;
  EXPECT_FALSE(interrupt_word(fiber.word));
  EXPECT_FALSE(fiber.park(true, true));
  EXPECT_EQ(waitable::reason_of(fiber.word), wake_reason::cancelled);
  EXPECT_FALSE(interrupt_word(fiber.word));
  EXPECT_TRUE(fiber.park(false, true));
}

TEST(Waitable, AMarkIsNeverClaimed) {
  nobodys_waitable mark;
  EXPECT_FALSE(mark.undecided());
  EXPECT_EQ(try_claim(mark, wake_reason::notified), claim::lost);
}

TEST(Waitable, NumbersOfWaitsWrap) {
  fake_fiber fiber;
  fiber.word = ~(waitable::one_wait - 1);
  EXPECT_TRUE(fiber.park());
  EXPECT_EQ(try_claim(fiber, wake_reason::timed_out), claim::must_resume);
  EXPECT_EQ(waitable::number_of(fiber.word), 0u);
  EXPECT_TRUE(fiber.park());
  EXPECT_TRUE(interrupt_word(fiber.word));
}

// ---- every interleaving

enum class mutant {
  none,
  resumes_while_arming,    // a winner resumes without looking at the phase
  publishes_on_its_stack,  // the parker says parked before it has left
  plain_publish,           // parked is stored, not compare-exchanged
  ignores_the_nudge,       // the publisher does not look at the flag
  overlooks_the_number,    // a claim counts for whatever wait is undecided
  trusts_the_nudge,        // a nudge stops the next wait, also behind a shield
  forgets_after_a_shield,  // the end of a shield does not look at the request
  leaves_the_timer_armed   // a waiter returns without disarming
};

// A fiber that waits `rounds` times in a list, with a deadline, and may be cancelled: park.cpp,
// worker.cpp, wait_list.hpp, timer_queue.cpp and scope.cpp, reduced to their steps.
struct stage {
  explicit stage(mutant which) : broken(which) {}

  const mutant broken;
  model::atomic<std::uint32_t> word{0};
  std::uint32_t wait = 0;  // guarded as waitable::wait
  bool may_be_interrupted = false;
  model::atomic<bool> on_its_stack{true};
  model::atomic<bool> ready{false};

  model::lock list_lock;
  bool listed = false;  // guarded by list_lock
  model::lock timer_lock;
  bool armed = false;  // guarded by timer_lock
  model::atomic<bool> cancel_pending{false};

  // What the rules are about; no part of the protocol.
  unsigned round = 0, armed_for = 0;
  unsigned wins = 0, resumes = 0, rounds_over = 0;
  std::vector<wake_reason> won_by, woke_by;

  void resume() {
    model::require(!on_its_stack.visible(), "resumed a fiber that stands on its stack");
    model::require(!ready.visible(), "resumed a fiber twice");
    ++resumes;
    ready.store(true);
  }

  void won(claim got, wake_reason why) {
    if (got == claim::lost) return;
    ++wins;
    won_by.push_back(why);
  }
  void resume_if_must(claim got) {
    if (got == claim::must_resume ||
        (broken == mutant::resumes_while_arming && got == claim::taken))
      resume();
  }

  // Returns false where a parking call throws `cancelled`.
  bool wait_once(bool interruptible, bool with_deadline) {
    if (interruptible && cancel_pending.load(std::memory_order_relaxed)) return false;
    wait = waitable::number_of(word.load(std::memory_order_relaxed));
    may_be_interrupted = interruptible;
    ++round;
    list_lock.acquire();
    listed = true;
    list_lock.release();
    if (with_deadline) {
      timer_lock.acquire();
      armed = true;
      armed_for = round;
      timer_lock.release();
    }
    suspend();
    if (model::closing()) return false;
    const wake_reason why = waitable::reason_of(word.load(std::memory_order_relaxed));
    woke_by.push_back(why);
    ++rounds_over;
    if (with_deadline && why != wake_reason::timed_out &&
        broken != mutant::leaves_the_timer_armed) {
      timer_lock.acquire();
      armed = false;
      timer_lock.release();
    }
    if (why != wake_reason::notified) {
      list_lock.acquire();
      listed = false;
      list_lock.release();
    }
    return why != wake_reason::cancelled;
  }

  void suspend() {
    if (waitable::number_of(word.load(std::memory_order_acquire)) != wait) return;
    if (broken == mutant::publishes_on_its_stack) {
      if (!published()) return;
      on_its_stack.store(false);
    } else {
      on_its_stack.store(false);
      publish();
    }
    ready.await_exchange([this] { return ready.visible(); }, false);
    on_its_stack.store(true);
  }

  bool published() {
    const std::uint32_t before = wait;
    const bool gone = publish_parked(word, wait, may_be_interrupted, [this] {
      if (broken == mutant::trusts_the_nudge) return true;
      return broken != mutant::ignores_the_nudge && cancel_pending.load(std::memory_order_relaxed);
    });
    // Decided here: by the flag.
    if (!gone && word.visible() == waitable::decided(before, wake_reason::cancelled))
      won(claim::taken, wake_reason::cancelled);
    return gone;
  }

  void publish() {
    if (broken == mutant::plain_publish)
      word.store(wait | waitable::parked);
    else if (!published())
      resume();  // make_ready() of worker::arrived()
  }

  claim claim_wait(std::uint32_t meant, wake_reason why) {
    if (broken == mutant::overlooks_the_number)
      meant = waitable::number_of(word.load(std::memory_order_acquire));
    return claim_word(word, meant, why);
  }

  void notifier() {
    list_lock.acquire();
    claim got = claim::lost;
    if (listed) {
      listed = false;
      got = claim_wait(wait, wake_reason::notified);
      won(got, wake_reason::notified);
    }
    list_lock.release();
    resume_if_must(got);
  }

  void timer() {
    timer_lock.acquire();
    claim got = claim::lost;
    if (armed) {
      armed = false;
      const unsigned meant = armed_for;
      got = claim_wait(wait, wake_reason::timed_out);
      model::require(got == claim::lost || meant == round, "a timer hit a later wait");
      won(got, wake_reason::timed_out);
    }
    timer_lock.release();
    resume_if_must(got);
  }

  void canceller() {
    cancel_pending.store(true, std::memory_order_relaxed);
    if (!interrupt_word(word)) return;
    won(claim::must_resume, wake_reason::cancelled);
    resume();
  }

  void check() {
    // A win that the parker has not seen yet may only be one for the wait it is in: there is none.
    model::require(wins == rounds_over, "a wait was won twice, or a win was lost");
    model::require(won_by == woke_by, "the fiber woke for another reason than the winner's");
    model::require(resumes <= wins, "more resumes than wins");
  }
};

struct cast {
  unsigned rounds = 1;
  bool interruptible = true;
  bool with_deadline = false;
  unsigned notifiers = 0;
  unsigned timers = 0;
  bool canceller = false;
  bool fiber_must_return = false;
};

model::outcome explore(const cast& who, mutant broken = mutant::none, model::options options = {}) {
  return model::explore(
      [=] {
        auto shared = std::make_shared<stage>(broken);
        auto returned = std::make_shared<bool>(false);
        model::program now;
        now.threads.push_back([=] {
          bool go_on = true;
          for (unsigned i = 0; i < who.rounds && go_on; ++i)
            go_on = shared->wait_once(who.interruptible, who.with_deadline);
          if (!model::closing()) *returned = true;
        });
        for (unsigned i = 0; i < who.notifiers; ++i)
          now.threads.push_back([=] { shared->notifier(); });
        for (unsigned i = 0; i < who.timers; ++i) now.threads.push_back([=] { shared->timer(); });
        if (who.canceller) now.threads.push_back([=] { shared->canceller(); });
        now.at_rest = [=] {
          shared->check();
          if (who.fiber_must_return) model::require(*returned, "the fiber waits for ever");
        };
        return now;
      },
      options);
}

void expect_holds(const cast& who, std::size_t preemptions_when_weak = model::no_limit) {
  model::options weak;
  weak.weak = true;
  weak.most_preemptions = std::min(preemptions_when_weak, model::no_limit);
  for (const model::options& memory : {model::options(), weak}) {
    const auto found = explore(who, mutant::none, memory);
    EXPECT_EQ(found.failure, "") << found.trace;
    EXPECT_GT(found.states, 20u);
    testing::Test::RecordProperty(memory.weak ? "weak_states" : "states",
                                  static_cast<int>(found.states));
  }
}

cast notifiers_only(unsigned count) {
  cast made;
  made.notifiers = count;
  return made;
}
cast notifier_and_timer() {
  cast made;
  made.with_deadline = true;
  made.notifiers = made.timers = 1;
  return made;
}
cast canceller_only(unsigned rounds) {
  cast made;
  made.rounds = rounds;
  made.canceller = made.fiber_must_return = true;
  return made;
}

TEST(ParkInterleaved, OneOfTwoNotifiersWins) { expect_holds(notifiers_only(2)); }

TEST(ParkInterleaved, NotifierOrTimerWins) { expect_holds(notifier_and_timer()); }

TEST(ParkInterleaved, NotifierOrCancellerWins) {
  cast who = notifiers_only(1);
  who.canceller = who.fiber_must_return = true;
  expect_holds(who);
}

TEST(ParkInterleaved, NotifierOrTimerOrCancellerWins) {
  cast who = notifier_and_timer();
  who.canceller = who.fiber_must_return = true;
  expect_holds(who, 3);
}

TEST(ParkInterleaved, ACancellationIsNeverMissed) { expect_holds(canceller_only(1)); }

TEST(ParkInterleaved, AWaitThatIsNotInterruptibleIgnoresTheCanceller) {
  cast who = notifiers_only(1);
  who.interruptible = false;
  who.canceller = true;
  expect_holds(who);
}

TEST(ParkInterleaved, AClaimNeverHitsALaterWait) {
  cast who = notifier_and_timer();
  who.rounds = 2;
  expect_holds(who);
}

TEST(ParkInterleaved, ACancellationAfterAWaitEndsTheNext) {
  cast who = notifiers_only(1);
  who.rounds = 2;
  who.canceller = who.fiber_must_return = true;
  expect_holds(who);
}

// ---- with a shield

// A fiber that waits behind a shield and once more after it, and who requests it to stop:
// scope.cpp.
struct shielded_stage : stage {
  using stage::stage;

  model::lock fiber_lock;
  bool shielded = false;  // these two: guarded by fiber_lock
  bool requested = false;
  bool signalled = false;  // guarded by list_lock

  void shield(bool on) {
    fiber_lock.acquire();
    shielded = on;
    const bool in_force = requested && !on;
    if (on || broken != mutant::forgets_after_a_shield)
      cancel_pending.store(in_force, std::memory_order_relaxed);
    fiber_lock.release();
  }

  void wait_for_signal() {
    wait = waitable::number_of(word.load(std::memory_order_relaxed));
    may_be_interrupted = true;
    list_lock.acquire();
    const bool parks = !signalled;
    listed = parks;
    list_lock.release();
    if (!parks) return;
    suspend();
    if (model::closing()) return;
    model::require(
        waitable::reason_of(word.load(std::memory_order_relaxed)) == wake_reason::notified,
        "a request went through a shield");
  }

  // Returns whether the wait after the shield was ended by the request.
  bool fiber() {
    shield(true);
    wait_for_signal();
    shield(false);
    if (model::closing()) return false;
    return !wait_once(true, false);
  }

  void signal() {
    list_lock.acquire();
    signalled = true;
    claim got = claim::lost;
    if (listed) {
      listed = false;
      got = claim_word(word, wait, wake_reason::notified);
    }
    list_lock.release();
    resume_if_must(got);
  }

  void request() {
    fiber_lock.acquire();
    requested = true;
    bool ended_its_wait = false;
    if (!shielded) {
      cancel_pending.store(true, std::memory_order_relaxed);
      ended_its_wait = interrupt_word(word);
    }
    fiber_lock.release();
    if (ended_its_wait) resume();
  }
};

model::outcome explore_shielded(mutant broken, model::options options = {}) {
  return model::explore(
      [=] {
        auto shared = std::make_shared<shielded_stage>(broken);
        auto stopped = std::make_shared<bool>(false);
        model::program now;
        now.threads.push_back([=] { *stopped = shared->fiber() && !model::closing(); });
        now.threads.push_back([=] { shared->signal(); });
        now.threads.push_back([=] { shared->request(); });
        now.at_rest = [=] { model::require(*stopped, "the fiber waits for ever"); };
        return now;
      },
      options);
}

TEST(ParkInterleaved, ARequestReachesTheWaitAfterAShieldAndNotTheOneBehindIt) {
  for (const bool weak : {false, true}) {
    model::options memory;
    memory.weak = weak;
    const auto found = explore_shielded(mutant::none, memory);
    EXPECT_EQ(found.failure, "") << found.trace;
    EXPECT_GT(found.states, 20u);
  }
}

// What the checker is there to find.

TEST(ParkMutant, ANudgeAloneGoesThroughAShield) {
  EXPECT_EQ(explore_shielded(mutant::trusts_the_nudge).failure, "a request went through a shield");
}

TEST(ParkMutant, AShieldThatEndsWithoutALookMissesTheRequest) {
  EXPECT_EQ(explore_shielded(mutant::forgets_after_a_shield).failure, "the fiber waits for ever");
}

TEST(ParkMutant, ResumingAFiberThatStillRunsIsFound) {
  EXPECT_EQ(explore(notifiers_only(1), mutant::resumes_while_arming).failure,
            "resumed a fiber that stands on its stack");
}

TEST(ParkMutant, PublishingBeforeLeavingTheStackIsFound) {
  EXPECT_EQ(explore(notifiers_only(1), mutant::publishes_on_its_stack).failure,
            "resumed a fiber that stands on its stack");
}

TEST(ParkMutant, PublishingWithoutComparingLosesAWake) {
  EXPECT_NE(explore(notifiers_only(1), mutant::plain_publish).failure, "");
}

TEST(ParkMutant, ParkingWithoutLookingAtTheFlagMissesACancellation) {
  EXPECT_EQ(explore(canceller_only(1), mutant::ignores_the_nudge).failure,
            "the fiber waits for ever");
}

TEST(ParkMutant, AClaimOfWhateverIsUndecidedWinsAWaitTwice) {
  EXPECT_NE(explore(notifier_and_timer(), mutant::overlooks_the_number).failure, "");
}

TEST(ParkMutant, ATimerLeftArmedHitsALaterWait) {
  cast who = notifier_and_timer();
  who.rounds = 2;
  EXPECT_EQ(explore(who, mutant::leaves_the_timer_armed).failure, "a timer hit a later wait");
}

}  // namespace
}  // namespace weft::detail
