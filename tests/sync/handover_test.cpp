// How a value goes from one waiter to another, under every interleaving: channel.cpp, select.cpp
// and channel_core.hpp, reduced to their steps, for rendezvous channels. The words of the waits are
// changed by the real code of waitable.hpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "fiber/waitable.hpp"
#include "sched/model.hpp"

namespace weft::detail {
namespace {

enum class mutant {
  none,
  moves_after_saying_so,    // a claimer says that it has left before it has moved the value
  says_so_with_the_lock,    // ... or before it has given the lock back
  does_not_wait,            // who was claimed while arming leaves at once
  waits_by_the_lock,        // ... or after it has had the lock, when the channel may be gone
  does_not_claim,           // takes who stands first in the queue, whatever ended its wait
  leaves_its_node,          // who times out stays in the queue
  keeps_losing_cases,       // a select leaves only the queue of the case that won
  keeps_no_handles,         // a select does not keep its channels until it has left their queues
  joins_queues_one_by_one,  // a select gives the locks back between looking and joining
  locks_in_order_of_cases   // not of addresses
};

enum class fate { waits, done, timed_out, cancelled };

struct one_case {
  unsigned channel;
  bool sends;
};

// What the frame of an operation holds, and its fiber.
struct participant {
  std::vector<one_case> cases;
  bool timer = false;
  bool canceller = false;

  model::atomic<std::uint32_t> word{0};
  std::uint32_t wait = 0;
  model::atomic<bool> cancel_pending{false};
  model::atomic<bool> ready{false};
  model::atomic<std::uint32_t> room{0};     // what has been received: who sent it, plus one
  model::atomic<std::uint32_t> outcome{0};  // the case that won, plus one
  model::atomic<bool> left{false};          // the claimer has left

  // What the rules are about; no part of the protocol.
  bool in_frame = false;
  fate ended = fate::waits;
  unsigned won = 0;
  unsigned received = 0;
};

struct stage {
  stage(mutant which, const std::vector<std::vector<one_case>>& all, bool goes)
      : broken(which), channel_goes(goes) {
    for (const auto& cases : all) {
      who.push_back(std::make_unique<participant>());
      who.back()->cases = cases;
    }
  }

  const mutant broken;
  std::vector<std::unique_ptr<participant>> who;
  const bool channel_goes;         // as soon as one side of an operation is done
  std::array<bool, 2> gone{};      // its last handle, apart from those that selects keep
  std::array<unsigned, 2> kept{};  // by selects
  std::array<model::lock, 2> locks;
  // Those who wait, first in the lowest bits: four bits for the case, four for the waiter plus one.
  std::array<model::atomic<std::uint64_t>, 2> queues;

  static std::uint64_t entry(std::size_t me, std::size_t which) { return which << 4 | (me + 1); }

  void acquire(unsigned channel) {
    locks[channel].acquire();
    model::require(!gone[channel] || kept[channel] > 0, "touched a channel that is gone");
  }
  void release(unsigned channel) {
    locks[channel].release();
    model::require(!gone[channel] || kept[channel] > 0, "touched a channel that is gone");
  }

  // ---- with the channel's lock

  struct served {
    std::size_t who;
    bool was_parked;
    std::function<void()> late_move;  // of a mutant
  };
  using served_batch = std::vector<served>;

  bool complete(std::size_t me, one_case mine, served_batch& batch) {
    model::atomic<std::uint64_t>& queue = queues[mine.channel];
    std::uint64_t waiting = queue.load();
    bool found = false;
    for (unsigned bits = 0; (waiting >> bits) != 0 && !found;) {
      const std::size_t at = (waiting >> bits & 15) - 1;
      const std::size_t which = waiting >> bits >> 4 & 15;
      participant& other = *who[at];
      if (other.cases[which].sends == mine.sends) {
        bits += 8;
        continue;
      }
      model::require(other.in_frame, "touched a frame that its fiber has left");
      const claim got = broken == mutant::does_not_claim
                            ? claim::must_resume
                            : claim_word(other.word, other.wait, wake_reason::served);
      found = got != claim::lost;
      waiting = without(waiting, [&](std::uint64_t each) { return each == entry(at, which); });
      if (found) serve(me, mine, at, which, got, batch);
    }
    queue.store(waiting);
    return found;
  }

  void serve(std::size_t me, one_case mine, std::size_t at, std::size_t which, claim got,
             served_batch& batch) {
    auto move = [this, me, mine, at, which] {
      participant& to = *who[at];
      model::require(to.in_frame, "touched a frame that its fiber has left");
      if (mine.sends)
        to.room.store(static_cast<std::uint32_t>(me + 1));
      else
        who[me]->room.store(static_cast<std::uint32_t>(at + 1));
      to.outcome.store(static_cast<std::uint32_t>(which + 1));
    };
    if (broken != mutant::moves_after_saying_so) move();
    if (broken == mutant::says_so_with_the_lock) who[at]->left.store(true);
    batch.push_back({at, got == claim::must_resume,
                     broken == mutant::moves_after_saying_so ? move : std::function<void()>()});
  }

  template <class F>
  static std::uint64_t without(std::uint64_t waiting, F&& drop) {
    std::uint64_t kept = 0;
    unsigned bits = 0;
    for (; waiting != 0; waiting >>= 8) {
      if (drop(waiting & 255)) continue;
      kept |= (waiting & 255) << bits;
      bits += 8;
    }
    return kept;
  }

  void join_queue(std::size_t me, std::size_t which) {
    model::atomic<std::uint64_t>& queue = queues[who[me]->cases[which].channel];
    const std::uint64_t before = queue.load();
    unsigned bits = 0;
    while ((before >> bits) != 0) bits += 8;
    queue.store(before | entry(me, which) << bits);
  }

  void leave_queue(std::size_t me, std::size_t which) {
    model::atomic<std::uint64_t>& queue = queues[who[me]->cases[which].channel];
    queue.store(
        without(queue.load(), [&](std::uint64_t each) { return each == entry(me, which); }));
  }

  // ---- without it

  void tell_all(const served_batch& batch) {
    for (const served& each : batch) {
      model::require(who[each.who]->in_frame, "touched a frame that its fiber has left");
      who[each.who]->left.store(true, std::memory_order_release);
      if (each.late_move) each.late_move();
      if (each.was_parked) resume(each.who);
    }
  }

  void resume(std::size_t each) {
    model::require(!who[each]->ready.visible(), "resumed a fiber twice");
    who[each]->ready.store(true);
  }

  void suspend(participant& self) {
    const bool parked = publish_parked(self.word, self.wait, true, [&self] {
      return self.cancel_pending.load(std::memory_order_relaxed);
    });
    if (!parked) return;
    self.ready.await_exchange([&self] { return self.ready.visible(); }, false);
  }

  std::vector<unsigned> channels_of(const participant& self) const {
    std::vector<unsigned> all;
    for (const one_case& each : self.cases) all.push_back(each.channel);
    if (broken != mutant::locks_in_order_of_cases) std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  void acquire_all(const participant& self) {
    for (const unsigned each : channels_of(self)) acquire(each);
  }
  void release_all(const participant& self) {
    for (const unsigned each : channels_of(self)) release(each);
  }

  // The case that could be completed at once, plus one.
  std::size_t complete_any(std::size_t me, served_batch& batch) {
    for (std::size_t i = 0; i < who[me]->cases.size(); ++i)
      if (complete(me, who[me]->cases[i], batch)) return i + 1;
    return 0;
  }

  // send(), recv() or select(), by its cases.
  void operate(std::size_t me) {
    participant& self = *who[me];
    self.in_frame = true;
    self.ended = wait(me, self);
    if (model::closing()) return;
    self.in_frame = false;
    if (self.ended != fate::done) return;
    if (channel_goes) gone = {true, true};  // whatever else it was waiting for
    self.received = self.room.load();
  }

  fate wait(std::size_t me, participant& self) {
    if (self.cancel_pending.load(std::memory_order_relaxed)) return fate::cancelled;
    self.wait = waitable::number_of(self.word.load(std::memory_order_relaxed));
    served_batch batch;
    acquire_all(self);
    const std::size_t at_once = complete_any(me, batch);
    if (at_once == 0) {
      if (broken == mutant::joins_queues_one_by_one) {
        release_all(self);
        acquire_all(self);
      }
      for (std::size_t i = 0; i < self.cases.size(); ++i) {
        join_queue(me, i);
        const bool keeps = self.cases.size() > 1 && broken != mutant::keeps_no_handles;
        if (keeps) ++kept[self.cases[i].channel];
      }
    }
    release_all(self);
    tell_all(batch);
    if (at_once != 0) {
      self.won = static_cast<unsigned>(at_once);
      return fate::done;
    }
    suspend(self);
    if (model::closing()) return fate::waits;
    return after_park(me, self, waitable::reason_of(self.word.load(std::memory_order_relaxed)));
  }

  fate after_park(std::size_t me, participant& self, wake_reason why) {
    const bool selects = self.cases.size() > 1;
    const bool was_served = why == wake_reason::served;
    if (was_served && broken == mutant::waits_by_the_lock) {
      acquire(self.cases[0].channel);
      release(self.cases[0].channel);
    } else if (was_served && broken != mutant::does_not_wait) {
      self.left.await_exchange([&self] { return self.left.visible(); }, true);
      if (model::closing()) return fate::waits;
    }
    if (was_served) {
      self.won = self.outcome.load();
      model::require(self.won != 0, "left before the claimer had moved the value");
      if (self.won == 0) return fate::waits;
    }
    for (std::size_t i = 0; i < self.cases.size(); ++i) {
      if (was_served && (!selects || broken == mutant::keeps_losing_cases)) break;
      if (!was_served && broken == mutant::leaves_its_node) break;
      acquire(self.cases[i].channel);
      leave_queue(me, i);
      release(self.cases[i].channel);
      if (selects && broken != mutant::keeps_no_handles) --kept[self.cases[i].channel];
    }
    if (why == wake_reason::timed_out) return fate::timed_out;
    if (why == wake_reason::cancelled) return fate::cancelled;
    model::require(self.won != 0, "woke although nobody has won the wait");
    return self.won != 0 ? fate::done : fate::waits;
  }

  void end_wait(claim got, std::size_t of) {
    if (got == claim::must_resume) resume(of);
  }
  void timer(std::size_t of) {
    end_wait(claim_word(who[of]->word, who[of]->wait, wake_reason::timed_out), of);
  }
  void cancel(std::size_t of) {
    who[of]->cancel_pending.store(true, std::memory_order_relaxed);
    if (interrupt_word(who[of]->word)) resume(of);
  }

  // Each value that was sent has been received once, by whom the outcome says.
  void check(std::size_t least_done) {
    std::size_t sent = 0;
    std::size_t received = 0;
    for (const auto& each : who) {
      if (each->ended != fate::done) continue;
      model::require(each->won != 0, "done without a case");
      if (each->cases[each->won - 1].sends) {
        ++sent;
      } else {
        ++received;
        model::require(each->received != 0, "received nothing");
        if (each->received == 0) return;
        const participant& from = *who[each->received - 1];
        model::require(from.ended == fate::done, "received what was not sent");
      }
    }
    model::require(sent == received, "sent and received differ");
    model::require(sent + received >= least_done, "two who could meet wait for ever");
    for (const auto& each : who)
      if (each->ended != fate::waits)
        for (const auto& queue : queues)
          for (std::uint64_t rest = queue.visible(); rest != 0; rest >>= 8)
            model::require(who[(rest & 15) - 1].get() != each.get(), "a case left a trace");
  }
};

struct cast {
  std::vector<std::vector<one_case>> who;
  std::vector<std::size_t> timers;      // whose waits they end
  std::vector<std::size_t> cancellers;  // likewise
  std::size_t least_done = 0;
  bool channel_goes = false;
};

model::outcome explore(const cast& of, mutant broken = mutant::none, model::options options = {}) {
  return model::explore(
      [=] {
        auto shared = std::make_shared<stage>(broken, of.who, of.channel_goes);
        model::program now;
        for (std::size_t i = 0; i < of.who.size(); ++i)
          now.threads.push_back([=] { shared->operate(i); });
        for (const std::size_t each : of.timers)
          now.threads.push_back([=] { shared->timer(each); });
        for (const std::size_t each : of.cancellers)
          now.threads.push_back([=] { shared->cancel(each); });
        now.at_rest = [=] { shared->check(of.least_done); };
        return now;
      },
      options);
}

void expect_holds(const cast& of, std::size_t preemptions = model::no_limit) {
  model::options options;
  options.most_preemptions = std::min(preemptions, model::no_limit);
  const auto found = explore(of, mutant::none, options);
  EXPECT_EQ(found.failure, "") << found.trace;
  EXPECT_GT(found.states, 50u);
  testing::Test::RecordProperty("states", static_cast<int>(found.states));
}

const std::vector<one_case> sender = {{0, true}};
const std::vector<one_case> receiver = {{0, false}};

cast rendezvous() {
  cast made;
  made.who = {sender, receiver};
  made.least_done = 2;
  made.channel_goes = true;
  return made;
}
cast rendezvous_or_timeout() {
  cast made = rendezvous();
  made.timers = {1};
  made.least_done = 0;
  return made;
}
// Each could meet the other on either channel; the cases stand in opposite orders.
cast selects_facing_each_other() {
  cast made;
  made.who = {{{0, true}, {1, false}}, {{1, true}, {0, false}}};
  made.least_done = 2;
  made.channel_goes = true;
  return made;
}
cast select_both_ways() {
  cast made = selects_facing_each_other();
  made.who = {{{0, true}, {0, false}}, {{0, false}, {0, true}}};
  return made;
}
cast select_between_two() {
  cast made;
  made.who = {{{0, true}, {1, false}}, receiver, {{1, true}}};
  made.least_done = 2;
  return made;
}

TEST(HandoverInterleaved, SenderAndReceiverMeet) { expect_holds(rendezvous()); }

TEST(HandoverInterleaved, ValueOrTimeLimit) { expect_holds(rendezvous_or_timeout()); }

TEST(HandoverInterleaved, ValueOrCancellation) {
  for (const std::size_t of : {0u, 1u}) {
    cast made = rendezvous_or_timeout();
    made.timers.clear();
    made.cancellers = {of};
    expect_holds(made);
  }
}

TEST(HandoverInterleaved, TimeLimitAgainstCancellationOfTheOther) {
  cast made = rendezvous_or_timeout();
  made.cancellers = {0};
  expect_holds(made, 3);
}

TEST(HandoverInterleaved, OneSenderServesOneOfTwoReceivers) {
  cast made;
  made.who = {sender, receiver, receiver};
  made.timers = {1};
  expect_holds(made, 3);
}

TEST(HandoverInterleaved, TwoSelectsMeetOnOneChannel) { expect_holds(selects_facing_each_other()); }

TEST(HandoverInterleaved, ASelectTakesOneOfTwo) { expect_holds(select_between_two(), 3); }

TEST(HandoverInterleaved, ASelectOrItsCancellation) {
  cast made = selects_facing_each_other();
  made.cancellers = {1};
  made.least_done = 0;
  expect_holds(made, 3);
}

TEST(HandoverInterleaved, ASelectUsesAChannelBothWays) {
  expect_holds(select_both_ways());
  cast made = select_both_ways();
  made.who.push_back(receiver);
  made.channel_goes = false;
  expect_holds(made, 3);
}

// What the checker is there to find.

TEST(HandoverMutant, MovingTheValueTooLateIsFound) {
  EXPECT_NE(explore(rendezvous(), mutant::moves_after_saying_so).failure, "");
}

TEST(HandoverMutant, AClaimerThatStillHasTheLockIsFound) {
  EXPECT_EQ(explore(rendezvous(), mutant::says_so_with_the_lock).failure,
            "touched a channel that is gone");
}

TEST(HandoverMutant, NotWaitingForTheClaimerIsFound) {
  EXPECT_NE(explore(rendezvous(), mutant::does_not_wait).failure, "");
}

TEST(HandoverMutant, WaitingForTheClaimerByTheLockIsFound) {
  EXPECT_EQ(explore(rendezvous(), mutant::waits_by_the_lock).failure,
            "touched a channel that is gone");
}

TEST(HandoverMutant, ASelectWithoutHandlesIsFound) {
  for (const cast& made : {selects_facing_each_other(), select_both_ways()})
    EXPECT_EQ(explore(made, mutant::keeps_no_handles).failure, "touched a channel that is gone");
}

TEST(HandoverMutant, SendingToSomeoneWhoseTimeIsOverIsFound) {
  EXPECT_NE(explore(rendezvous_or_timeout(), mutant::does_not_claim).failure, "");
}

TEST(HandoverMutant, ANodeLeftInTheQueueIsFound) {
  EXPECT_NE(explore(rendezvous_or_timeout(), mutant::leaves_its_node).failure, "");
}

TEST(HandoverMutant, ACaseLeftInItsQueueIsFound) {
  EXPECT_NE(explore(select_between_two(), mutant::keeps_losing_cases).failure, "");
}

TEST(HandoverMutant, LockingOneByOneMissesTheOther) {
  EXPECT_EQ(explore(selects_facing_each_other(), mutant::joins_queues_one_by_one).failure,
            "two who could meet wait for ever");
}

TEST(HandoverMutant, LockingInAnyOrderEndsInADeadlock) {
  EXPECT_EQ(explore(selects_facing_each_other(), mutant::locks_in_order_of_cases).failure,
            "two who could meet wait for ever");
}

}  // namespace
}  // namespace weft::detail
