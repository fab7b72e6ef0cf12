#include "sched/timer_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "fiber/control.hpp"

namespace weft::detail {
namespace {

// Where fibers live that have no scheduler: it notes who was made ready.
class fake_home final : public fiber_home {
 public:
  void submit(control& ready) noexcept override { woken.push_back(&ready); }
  void fiber_ended() noexcept override {}
  bool stopping() const noexcept override { return false; }
  void disarm(timer& entry) noexcept override { entry.queue->disarm(entry); }

  std::vector<control*> woken;
};

struct fake_fiber : control {
  explicit fake_fiber(fake_home& of) {
    home = &of;
    root.owner = this;
    id = 1;
  }
};

// What arm_deadlines() does on a worker.
void arm_deadlines_in(timer_queue& queue, control& fiber, deadline_scope& scope) {
  scope.deadline_armed = true;
  --fiber.unarmed_deadlines;
  queue.add(scope.alarm);
}

// A wait with a deadline whose fiber has not left its stack yet: the timer may win it, and has
// nobody to resume.
struct fake_wait {
  explicit fake_wait(nanos deadline) {
    who.begin_wait(false);
    alarm.deadline = deadline;
    alarm.waiter = &who;
  }
  bool timed_out() const {
    return !who.undecided() && waitable::reason_of(who.word) == wake_reason::timed_out;
  }

  waitable who{false};
  timer alarm;
};

// ---- order and time

TEST(TimerQueue, AnEmptyOneIsDueNever) {
  timer_queue queue;
  EXPECT_EQ(queue.earliest(), never);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.expire(never - 1), 0u);
}

TEST(TimerQueue, ATimerFiresAtItsDeadlineAndNotBefore) {
  timer_queue queue;
  fake_wait wait(1000);
  queue.add(wait.alarm);
  EXPECT_EQ(queue.earliest(), 1000);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.expire(999), 0u);
  EXPECT_FALSE(wait.timed_out());
  EXPECT_EQ(queue.expire(1000), 1u);
  EXPECT_TRUE(wait.timed_out());
  EXPECT_EQ(queue.earliest(), never);
  EXPECT_EQ(queue.expire(2000), 0u);
}

TEST(TimerQueue, EarlierOnesFireFirst) {
  fake_home home;
  timer_queue queue;
  std::vector<std::unique_ptr<fake_fiber>> fibers;
  std::vector<std::unique_ptr<timer>> alarms;
  std::mt19937 random(1);
  std::vector<nanos> deadlines;
  for (nanos i = 0; i < 1000; ++i) deadlines.push_back(i);
  std::shuffle(deadlines.begin(), deadlines.end(), random);
  for (nanos deadline : deadlines) {
    fibers.push_back(std::make_unique<fake_fiber>(home));
    fibers.back()->word = waitable::parked;
    fibers.back()->id = static_cast<std::uint64_t>(deadline);
    alarms.push_back(std::make_unique<timer>());
    alarms.back()->deadline = deadline;
    alarms.back()->waiter = fibers.back().get();
    queue.add(*alarms.back());
  }
  EXPECT_EQ(queue.expire(999), 1000u);
  ASSERT_EQ(home.woken.size(), 1000u);
  for (std::size_t i = 0; i < home.woken.size(); ++i) ASSERT_EQ(home.woken[i]->id, i);
}

TEST(TimerQueue, EqualAndExtremeDeadlinesFireToo) {
  timer_queue queue;
  std::vector<std::unique_ptr<fake_wait>> waits;
  for (nanos deadline : {nanos{5}, nanos{5}, nanos{-7}, nanos{0}, never - 1, nanos{5}}) {
    waits.push_back(std::make_unique<fake_wait>(deadline));
    queue.add(waits.back()->alarm);
  }
  EXPECT_EQ(queue.earliest(), -7);
  EXPECT_EQ(queue.expire(4), 2u);
  EXPECT_EQ(queue.expire(5), 3u);
  EXPECT_EQ(queue.earliest(), never - 1);
  EXPECT_EQ(queue.expire(never - 2), 0u);
  EXPECT_EQ(queue.expire(never - 1), 1u);
}

TEST(TimerQueue, ManyFireInOneTurn) {
  timer_queue queue;
  std::vector<std::unique_ptr<fake_wait>> waits;
  for (nanos i = 0; i < 1000; ++i) {
    waits.push_back(std::make_unique<fake_wait>(i / 10));
    queue.add(waits.back()->alarm);
  }
  EXPECT_EQ(queue.expire(100), 1000u);
  for (const auto& each : waits) EXPECT_TRUE(each->timed_out());
}

// ---- disarming

TEST(TimerQueue, ADisarmedTimerNeverFires) {
  timer_queue queue;
  fake_wait first(10), second(20), third(30);
  for (fake_wait* each : {&third, &first, &second}) queue.add(each->alarm);
  queue.disarm(first.alarm);
  EXPECT_EQ(queue.earliest(), 20);
  EXPECT_EQ(queue.size(), 2u);
  queue.disarm(first.alarm);  // nothing happens
  EXPECT_EQ(queue.expire(25), 1u);
  EXPECT_TRUE(second.timed_out());
  queue.disarm(third.alarm);
  EXPECT_EQ(queue.earliest(), never);
  EXPECT_EQ(queue.expire(never), 0u);
  EXPECT_FALSE(first.timed_out());
  EXPECT_FALSE(third.timed_out());
}

TEST(TimerQueue, ATimerCanBeArmedAgain) {
  timer_queue queue;
  fake_wait wait(10);
  queue.add(wait.alarm);
  queue.disarm(wait.alarm);
  wait.alarm.deadline = 40;
  queue.add(wait.alarm);
  EXPECT_EQ(queue.expire(39), 0u);
  EXPECT_EQ(queue.expire(40), 1u);
  wait.who.begin_wait(false);
  wait.alarm.deadline = 50;
  queue.add(wait.alarm);
  EXPECT_EQ(queue.expire(50), 1u);
}

TEST(TimerQueue, AWaitThatIsOverIsLeftAlone) {
  timer_queue queue;
  fake_wait wait(10);
  queue.add(wait.alarm);
  ASSERT_EQ(try_claim(wait.who, wake_reason::notified), claim::taken);
  queue.expire(10);
  EXPECT_EQ(waitable::reason_of(wait.who.word), wake_reason::notified);
  queue.disarm(wait.alarm);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueue, AnyThreadMayDisarm) {
  timer_queue queue;
  std::vector<std::unique_ptr<fake_wait>> waits;
  for (nanos i = 0; i < 1000; ++i) {
    waits.push_back(std::make_unique<fake_wait>(i));
    queue.add(waits.back()->alarm);
  }
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < waits.size(); i += 4)
        if (i % 3 != 0) queue.disarm(waits[i]->alarm);
    });
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(queue.size(), 334u);
  EXPECT_EQ(queue.expire(1000), 334u);
  for (std::size_t i = 0; i < waits.size(); ++i) EXPECT_EQ(waits[i]->timed_out(), i % 3 == 0);
}

TEST(TimerQueue, AHundredThousandOfWhichNineTenthsAreCancelledFireInTime) {
  constexpr std::size_t many = 100'000;
  constexpr nanos horizon = 1'000'000;
  timer_queue queue;
  std::mt19937_64 random(7);
  std::uniform_int_distribution<nanos> any_time(1, horizon);
  std::vector<std::unique_ptr<fake_wait>> waits;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < many; ++i) {
    waits.push_back(std::make_unique<fake_wait>(any_time(random)));
    queue.add(waits.back()->alarm);
    order.push_back(i);
  }
  std::shuffle(order.begin(), order.end(), random);
  std::vector<bool> cancelled(many);
  for (std::size_t i = 0; i < many / 10 * 9; ++i) {
    queue.disarm(waits[order[i]]->alarm);
    cancelled[order[i]] = true;
  }
  EXPECT_EQ(queue.size(), many / 10);

  std::size_t fired = 0;
  for (nanos now = 0; now <= horizon; now += horizon / 20) {
    fired += queue.expire(now);
    EXPECT_GT(queue.earliest(), now);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < many; ++i) {
      const bool due = !cancelled[i] && waits[i]->alarm.deadline <= now;
      wrong += waits[i]->timed_out() != due;
    }
    ASSERT_EQ(wrong, 0u) << "at " << now;
  }
  EXPECT_EQ(fired, many / 10);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueue, TheEarliestIsRightAfterEachOfManyChanges) {
  timer_queue queue;
  std::mt19937 random(3);
  std::vector<std::unique_ptr<fake_wait>> armed;
  for (int step = 0; step < 3000; ++step) {
    if (armed.empty() || random() % 5 < 3) {
      armed.push_back(std::make_unique<fake_wait>(static_cast<nanos>(random() % 1000)));
      queue.add(armed.back()->alarm);
    } else {
      const std::size_t which = random() % armed.size();
      queue.disarm(armed[which]->alarm);
      std::swap(armed[which], armed.back());
      armed.pop_back();
    }
    nanos least = never;
    for (const auto& each : armed) least = std::min(least, each->alarm.deadline);
    ASSERT_EQ(queue.earliest(), least);
    ASSERT_EQ(queue.size(), armed.size());
  }
  for (const auto& each : armed) queue.disarm(each->alarm);
}

// Deadlines of all magnitudes, so that they stand on every level of the wheel and move down.
TEST(TimerQueue, FarDeadlinesFireInTimeToo) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    timer_queue queue;
    std::mt19937_64 random(seed);
    std::vector<std::unique_ptr<fake_wait>> armed;
    nanos now = seed % 2 == 0 ? 0 : static_cast<nanos>(random() >> 2);
    for (int step = 0; step < 3000 && now < never / 2; ++step) {
      const auto magnitude = static_cast<unsigned>(random() % 60);
      const auto ahead = static_cast<nanos>(random() & ((std::uint64_t{1} << magnitude) - 1));
      switch (random() % 4) {
        case 0:
        case 1:
          armed.push_back(std::make_unique<fake_wait>(now + ahead));
          queue.add(armed.back()->alarm);
          break;
        case 2: {
          if (armed.empty()) break;
          auto& gone = armed[random() % armed.size()];
          queue.disarm(gone->alarm);
          std::swap(gone, armed.back());
          armed.pop_back();
          break;
        }
        default: {
          now += random() % 8 == 0 ? ahead : ahead % 5'000'000;
          const auto is_due = [&](const auto& each) { return each->alarm.deadline <= now; };
          const auto due = std::partition(armed.begin(), armed.end(), std::not_fn(is_due));
          ASSERT_EQ(queue.expire(now), static_cast<std::size_t>(armed.end() - due));
          for (auto at = armed.begin(); at != armed.end(); ++at)
            ASSERT_EQ((*at)->timed_out(), at >= due);
          armed.erase(due, armed.end());
        }
      }
      nanos least = never;
      for (const auto& each : armed) least = std::min(least, each->alarm.deadline);
      ASSERT_LE(queue.earliest(), least);
      ASSERT_EQ(queue.earliest() == never, armed.empty());
      ASSERT_EQ(queue.size(), armed.size());
    }
    for (const auto& each : armed) queue.disarm(each->alarm);
  }
}

// What was disarmed may wake the worker once, but then the queue knows better.
TEST(TimerQueue, ADisarmedTimerOfAFarSlotCostsOneLook) {
  timer_queue queue;
  fake_wait first(1'000'000'000);
  fake_wait second(1'000'000'500);
  queue.add(first.alarm);
  queue.add(second.alarm);
  queue.disarm(first.alarm);
  EXPECT_EQ(queue.expire(queue.earliest()), 0u);
  EXPECT_EQ(queue.earliest(), 1'000'000'500);
  EXPECT_EQ(queue.expire(1'000'000'500), 1u);
}

// ---- whom it wakes and what it cancels

TEST(TimerQueue, AParkedFiberIsMadeReadyAndARunningOneIsNot) {
  fake_home home;
  timer_queue queue;
  fake_fiber parked(home), arming(home);
  parked.word = waitable::parked;
  arming.begin_wait(false);
  timer alarms[2];
  alarms[0].waiter = &parked;
  alarms[1].waiter = &arming;
  for (timer& each : alarms) {
    each.deadline = 10;
    queue.add(each);
  }
  EXPECT_EQ(queue.expire(10), 2u);
  EXPECT_EQ(home.woken, (std::vector<control*>{&parked}));
  EXPECT_EQ(waitable::reason_of(arming.word), wake_reason::timed_out);
}

TEST(TimerQueue, TheDeadlineOfAScopeCancelsIt) {
  fake_home home;
  timer_queue queue;
  fake_fiber fiber(home);
  deadline_scope scope(10);
  push_scope(scope, fiber);
  arm_deadlines_in(queue, fiber, scope);
  EXPECT_EQ(queue.expire(9), 0u);
  EXPECT_FALSE(fiber.cancel_pending);
  EXPECT_EQ(queue.expire(10), 1u);
  EXPECT_TRUE(fiber.cancel_pending);
  EXPECT_EQ(scope.alarm.state.load(), timer::phase::idle);
  pop_scope(scope);
  EXPECT_FALSE(fiber.cancel_pending);
}

TEST(TimerQueue, AScopeThatEndsInTimeCancelsNothing) {
  fake_home home;
  timer_queue queue;
  fake_fiber fiber(home);
  deadline_scope scope(10);
  push_scope(scope, fiber);
  arm_deadlines_in(queue, fiber, scope);
  pop_scope(scope);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.expire(10), 0u);
  EXPECT_FALSE(fiber.cancel_pending);
}

TEST(TimerQueue, ScopesAndWaitersOfOneTurnAllFire) {
  fake_home home;
  timer_queue queue;
  fake_fiber fiber(home);
  fiber.word = waitable::parked | waitable::interruptible;
  std::vector<std::unique_ptr<deadline_scope>> scopes;
  std::vector<std::unique_ptr<fake_wait>> waits;
  for (nanos i = 0; i < 200; ++i) {
    scopes.push_back(std::make_unique<deadline_scope>(i));
    push_scope(*scopes.back(), fiber);
    arm_deadlines_in(queue, fiber, *scopes.back());
    waits.push_back(std::make_unique<fake_wait>(i));
    queue.add(waits.back()->alarm);
  }
  EXPECT_EQ(queue.expire(200), 400u);
  for (const auto& each : scopes) EXPECT_TRUE(each->requested);
  for (const auto& each : waits) EXPECT_TRUE(each->timed_out());
  EXPECT_EQ(home.woken, (std::vector<control*>{&fiber})) << "once, however many scopes fired";
  while (!scopes.empty()) {
    pop_scope(*scopes.back());
    scopes.pop_back();
  }
}

// ---- races

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
constexpr int rounds = 200;
#else
constexpr int rounds = 1000;
#endif
constexpr int per_round = 64;

// The owner arms and lets expire; another thread ends the same waits and frees them at once. What
// is touched after disarm() has returned is a use after free, or a claim of the next wait.
TEST(TimerQueueStress, AfterDisarmingTheTimerTouchesNothing) {
  timer_queue queue;
  std::atomic<int> round_begun{0}, round_over{0};
  std::vector<std::unique_ptr<fake_wait>> waits(per_round);
  int lost = 0, hit_later_wait = 0;
  std::thread other([&] {
    for (int round = 1; round <= rounds; ++round) {
      while (round_begun.load(std::memory_order_acquire) != round) std::this_thread::yield();
      for (auto& each : waits) {
        const bool mine = try_claim(each->who, wake_reason::notified) == claim::taken;
        if (!mine && !each->timed_out()) ++lost;
        queue.disarm(each->alarm);
        each->who.begin_wait(false);  // the next wait of the same fiber
        for (int i = 0; i < 3; ++i) cpu_relax();
        if (!each->who.undecided()) ++hit_later_wait;
        each.reset();
      }
      round_over.store(round, std::memory_order_release);
    }
  });
  for (int round = 1; round <= rounds; ++round) {
    for (int i = 0; i < per_round; ++i) {
      auto& each = waits[static_cast<std::size_t>(i)];
      each = std::make_unique<fake_wait>(i);
      queue.add(each->alarm);
    }
    round_begun.store(round, std::memory_order_release);
    for (nanos now = 0; now < per_round; now += 2) queue.expire(now);
    while (round_over.load(std::memory_order_acquire) != round) {
      queue.expire(per_round);
      std::this_thread::yield();
    }
    ASSERT_EQ(queue.size(), 0u);
  }
  other.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(hit_later_wait, 0);
}

// The owner of a scope leaves it while its deadline fires on two other threads at once, as when the
// monitor takes over for a worker.
TEST(TimerQueueStress, AScopeIsNotTouchedOnceItIsLeft) {
  fake_home home;
  timer_queue queue;
  std::atomic<bool> over{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 2; ++i)
    others.emplace_back([&] {
      while (!over.load(std::memory_order_acquire)) queue.expire(10);
    });
  int cancelled = 0;
  for (int round = 0; round < rounds * 10; ++round) {
    auto fiber = std::make_unique<fake_fiber>(home);
    {
      auto scope = std::make_unique<deadline_scope>(5);
      push_scope(*scope, *fiber);
      arm_deadlines_in(queue, *fiber, *scope);
      for (int i = 0; i < round % 50; ++i) cpu_relax();
      pop_scope(*scope);
      cancelled += scope->requested;
    }
    ASSERT_FALSE(fiber->cancel_pending.load()) << "the request went with the scope";
  }
  over.store(true, std::memory_order_release);
  for (std::thread& each : others) each.join();
  EXPECT_EQ(queue.size(), 0u);
  RecordProperty("cancelled", cancelled);
}

}  // namespace
}  // namespace weft::detail
