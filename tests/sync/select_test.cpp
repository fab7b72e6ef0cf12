// select: one case takes place, the others leave no trace.
#include <weft/select.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;
using weft::after;
using weft::on_ready;
using weft::on_recv;
using weft::on_send;
using weft::otherwise;
using weft_test::until_parked;

class Select : public weft_test::fiber_fixture {};
FIBER_SUITE(Select);

// For cases that must not take place.
auto never_called = [](auto&&...) { ADD_FAILURE() << "this case has not won"; };

TEST_P(Select, TakesTheCaseThatIsReady) {
  inside([] {
    weft::channel<int> empty;
    weft::channel<int> full(1);
    full.send(3);
    std::optional<int> got;
    EXPECT_EQ(weft::select(on_recv(empty, never_called), on_send(full, 4, never_called),
                           on_recv(full, [&](std::optional<int> v) { got = v; })),
              2u);
    EXPECT_EQ(got, 3);
    bool sent = false;
    EXPECT_EQ(weft::select(on_recv(empty, never_called), on_send(full, 5, [&] { sent = true; })),
              1u);
    EXPECT_TRUE(sent);
    EXPECT_EQ(full.recv(), 5);
  });
}

TEST_P(Select, WaitsForAReceiver) {
  inside([] {
    weft::channel<int> a;
    weft::channel<std::string> b;
    auto selector = weft::go([&] {
      return weft::select(on_recv(a, never_called), on_send(b, "sent"), after(1h, never_called));
    });
    until_parked(1);
    EXPECT_EQ(b.recv(), "sent");
    EXPECT_EQ(selector.join(), 1u);
    EXPECT_FALSE(a.try_send(1)) << "the case that lost waits no longer";
  });
}

TEST_P(Select, WaitsForASender) {
  inside([] {
    weft::channel<std::unique_ptr<int>> a;
    weft::channel<int> b;
    auto selector = weft::go([&] {
      std::unique_ptr<int> got;
      weft::select(on_send(b, 1, never_called),
                   on_recv(a, [&](std::optional<std::unique_ptr<int>> v) { got = std::move(*v); }));
      return got;
    });
    until_parked(1);
    a.send(std::make_unique<int>(8));
    EXPECT_EQ(*selector.join(), 8);
    EXPECT_EQ(b.try_recv(), std::nullopt);
  });
}

TEST_P(Select, ServesWaitersInOrder) {
  inside([] {
    weft::channel<int> ch;
    weft::channel<int> other;
    std::vector<weft::fiber<int>> waiters;
    for (std::size_t i = 0; i < 8; ++i) {
      waiters.push_back(weft::go([&, i] {
        int got = -1;
        if (i % 2 == 0)
          got = ch.recv().value();
        else
          weft::select(on_recv(other, never_called),
                       on_recv(ch, [&](std::optional<int> v) { got = *v; }));
        return got;
      }));
      until_parked(i + 1);
    }
    for (int i = 0; i < 8; ++i) ch.send(i);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(waiters[static_cast<std::size_t>(i)].join(), i);
  });
}

TEST_P(Select, OtherwiseIsForWhenNothingIsReady) {
  inside([] {
    weft::channel<int> ch(1);
    EXPECT_EQ(weft::select(on_recv(ch, never_called), otherwise()), 1u);
    EXPECT_EQ(weft::select(on_send(ch, 1), otherwise(never_called)), 0u);
    EXPECT_EQ(weft::select(otherwise(never_called), on_recv(ch, [](std::optional<int>) {})), 1u);
    EXPECT_EQ(weft::select(otherwise(), after(-1s, never_called)), 0u);

    auto fiber = weft::go([&] {
      EXPECT_THROW(weft::sleep(1h), weft::cancelled);
      EXPECT_EQ(weft::select(on_recv(ch, never_called), otherwise()), 1u)
          << "what never parks is no cancellation point";
    });
    until_parked(1);
    fiber.cancel();
    fiber.join();
  });
}

TEST_P(Select, TheShortestTimeLimitCounts) {
  inside([] {
    weft::channel<int> ch;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(weft::select(after(1h, never_called), on_recv(ch, never_called), after(3ms),
                           after(std::chrono::hours::max(), never_called)),
              2u);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 3ms);
    EXPECT_EQ(weft::select(after(1ms)), 0u);
  });
}

TEST_P(Select, ATimeThatIsOverComesAfterWhatIsReady) {
  inside([] {
    weft::channel<int> ch(1);
    EXPECT_EQ(weft::select(on_recv(ch, never_called), after(0s), after(-1h, [] {})), 2u);
    ch.send(1);
    EXPECT_EQ(weft::select(after(-1s, never_called), on_recv(ch, [](std::optional<int>) {})), 1u);
  });
}

TEST_P(Select, TheEndOfAFiberIsACase) {
  inside([] {
    weft::channel<int> ch;
    auto worker = weft::go([&] {
      ch.recv();
      return 42;
    });
    auto selector = weft::go([&] {
      int result = 0;
      weft::channel<int> none;
      EXPECT_EQ(weft::select(on_recv(none, never_called),
                             on_ready(worker, [&] { result = worker.join(); })),
                1u);
      return result;
    });
    until_parked(2);
    EXPECT_EQ(weft::select(on_ready(worker, never_called), otherwise()), 1u);
    ch.send(1);
    EXPECT_EQ(selector.join(), 42);
    EXPECT_EQ(weft::select(on_ready(worker), after(1h, never_called)), 0u) << "ended before";
  });
}

TEST_P(Select, FibersThatDidNotEndFirstAreLeft) {
  inside([] {
    weft::channel<int> gate;
    std::vector<weft::fiber<void>> workers;
    for (int i = 0; i < 3; ++i)
      workers.push_back(weft::go([&gate, i] {
        while (gate.recv() != i) weft::yield();
      }));
    auto selector = weft::go([&] {
      return weft::select(on_ready(workers[0]), on_ready(workers[1]), on_ready(workers[2]));
    });
    until_parked(4);
    workers[1].cancel();
    EXPECT_EQ(selector.join(), 1u);
    workers[0].cancel();
    workers[2].cancel();
    for (auto& each : workers) each.wait();
  });
}

TEST_P(Select, AClosedChannelIsReady) {
  inside([] {
    weft::channel<int> ch;
    weft::channel<int> open;
    auto receiver = weft::go([&] {
      std::optional<int> got = 1;
      weft::select(on_recv(open, never_called),
                   on_recv(ch, [&](std::optional<int> v) { got = v; }));
      return got;
    });
    auto sender = weft::go([&] {
      auto mine = std::make_unique<int>(2);
      weft::channel<std::unique_ptr<int>> full;
      auto closer = weft::go([&] { full.close(); });
      EXPECT_THROW(
          weft::select(on_recv(open, never_called), on_send(full, std::move(mine), never_called)),
          weft::channel_closed);
      closer.join();
      return mine != nullptr;
    });
    EXPECT_TRUE(sender.join());
    until_parked(1);
    ch.close();
    EXPECT_EQ(receiver.join(), std::nullopt);
    EXPECT_THROW(weft::select(on_send(ch, 1, never_called)), weft::channel_closed);
    EXPECT_EQ(weft::select(on_recv(ch, [](std::optional<int> v) { EXPECT_FALSE(v); })), 0u);
  });
}

TEST_P(Select, WhatIsNotSentStaysWithTheCaller) {
  inside([] {
    weft::channel<std::unique_ptr<int>> full;
    auto mine = std::make_unique<int>(5);
    EXPECT_EQ(weft::select(on_send(full, std::move(mine), never_called), after(1ms)), 1u);
    ASSERT_NE(mine, nullptr);
    auto receiver = weft::go([&] { return full.recv(); });
    EXPECT_EQ(weft::select(on_send(full, std::move(mine)), after(1h, never_called)), 0u);
    EXPECT_EQ(mine, nullptr);
    EXPECT_EQ(**receiver.join(), 5);
  });
}

TEST_P(Select, ExceptionsOfTheFunctionGoThrough) {
  inside([] {
    weft::channel<int> ch(2);
    ch.send(1);
    ch.send(2);
    EXPECT_THROW(weft::select(on_recv(ch, [](std::optional<int>) { throw std::range_error("f"); }),
                              after(1h)),
                 std::range_error);
    EXPECT_EQ(ch.recv(), 2) << "that value had been received";
  });
}

TEST_P(Select, TheFunctionMayUseTheChannelsAgain) {
  inside([] {
    weft::channel<int> ch(1);
    ch.send(1);
    int got = 0;
    weft::select(on_recv(ch, [&](std::optional<int>) {
      weft::select(on_send(ch, 2), on_recv(ch, never_called));
      weft::select(on_recv(ch, [&](std::optional<int> v) { got = *v; }));
    }));
    EXPECT_EQ(got, 2);
  });
}

TEST_P(Select, ItDoesNotMeetItself) {
  inside([] {
    weft::channel<int> ch;
    EXPECT_EQ(weft::select(on_recv(ch, never_called), on_send(ch, 1, never_called), after(2ms)),
              2u);
    auto both_ways = [&ch] {
      std::optional<int> got;
      const auto which = weft::select(on_recv(ch, [&](std::optional<int> v) { got = v; }),
                                      on_send(ch, 7), on_recv(ch, [&](auto v) { got = v; }));
      return which == 1 ? 0 : got.value();
    };
    auto one = weft::go(both_ways);
    auto two = weft::go(both_ways);
    EXPECT_EQ(one.join() + two.join(), 7);
  });
}

TEST_P(Select, OneChannelMayStandInSeveralCases) {
  inside([] {
    weft::channel<int> ch;
    std::atomic<int> calls{0};
    auto selector = weft::go([&] {
      auto count = [&](std::optional<int> v) { calls += *v; };
      return weft::select(on_recv(ch, count), on_recv(ch, count), on_recv(ch, count));
    });
    until_parked(1);
    ch.send(1);
    EXPECT_LT(selector.join(), 3u);
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(ch.try_send(2));
  });
}

TEST_P(Select, ChoosesAtRandomAmongTheReady) {
  inside([] {
    // Each of three out of five is expected 2000 times with a deviation of 37: 300 is eight of
    // them.
    weft::channel<int> ready(1);
    weft::channel<int> empty;
    ready.send(1);
    auto done = weft::go([] {});
    done.wait();
    int chosen[5] = {};
    for (int i = 0; i < 6'000; ++i) {
      const auto which = weft::select(on_recv(empty, never_called), on_ready(done),
                                      on_recv(ready, [&](auto) { ready.send(1); }),
                                      on_recv(empty, never_called), on_ready(done));
      ++chosen[which];
    }
    for (const int at : {1, 2, 4}) EXPECT_NEAR(chosen[at], 2'000, 300) << at;
  });
}

TEST_P(Select, OtherwiseChoosesAtRandomToo) {
  inside([] {
    weft::channel<int> a(1);
    weft::channel<int> b(1);
    a.send(1);
    b.send(1);
    int chosen[2] = {};
    for (int i = 0; i < 4'000; ++i)
      ++chosen[weft::select(on_recv(a, [&](auto) { a.send(1); }),
                            on_recv(b, [&](auto) { b.send(1); }), otherwise(never_called))];
    EXPECT_NEAR(chosen[0], 2'000, 300);
  });
}

// ---- lists of cases

TEST_P(Select, AListHoldsAnyNumberOfCases) {
  for (const std::size_t count : {1u, 64u, 200u})
    inside([count] {
      std::vector<weft::channel<std::size_t>> inboxes(count);
      std::vector<weft::select_case> cases;
      std::size_t got = count;
      for (const auto& each : inboxes)
        cases.push_back(on_recv(each, [&](std::optional<std::size_t> v) { got = *v; }));
      cases.push_back(after(1h, never_called));
      for (std::size_t i = 0; i < count; i += 7) {
        auto sender = weft::go([&, i] { inboxes[i].send(i); });
        if (i % 2 == 0) until_parked(1);
        EXPECT_EQ(weft::select(cases), i);
        EXPECT_EQ(got, i);
        sender.join();
      }
    });
}

TEST_P(Select, AListKeepsWhatItNeeds) {
  inside([] {
    std::vector<weft::select_case> cases;
    weft::channel<std::string> out;
    {
      weft::channel<int> gone;
      std::string text = "taken into the case, as it may be used long after this";
      cases.push_back(on_recv(gone, never_called));
      cases.push_back(on_send(out, std::move(text)));
      cases.push_back(on_ready(weft::go([] { weft::sleep(1h); }), never_called));
    }
    cases.push_back(after(1ms));
    EXPECT_EQ(weft::select(cases), 3u);
    auto receiver = weft::go([&] { return out.recv(); });
    cases.pop_back();
    EXPECT_EQ(weft::select(cases), 1u);
    EXPECT_EQ(receiver.join()->size(), 54u);
    EXPECT_THROW(weft::select(cases), std::logic_error) << "its value has been sent";
  });
}

TEST_P(Select, MisuseIsReported) {
  inside([] {
    std::vector<weft::select_case> none;
    EXPECT_THROW(weft::select(none), std::logic_error);
    EXPECT_THROW(on_ready(weft::fiber<int>()), std::logic_error);
    std::vector<weft::select_case> moved_from;
    moved_from.push_back(after(1h));
    const weft::select_case elsewhere = std::move(moved_from[0]);
    EXPECT_THROW(weft::select(moved_from), std::logic_error);
    weft::fiber<void> self;
    weft::channel<int> started;
    self = weft::go([&] {
      started.recv();
      EXPECT_THROW(weft::select(on_ready(self)), std::logic_error);
    });
    started.send(1);
    self.join();
  });
}

// ---- cancellation, threads, lifetimes

TEST_P(Select, CancellationLosesNothing) {
  inside([] {
    weft::channel<std::unique_ptr<int>> out;
    weft::channel<int> in;
    weft::event was_late;
    auto fiber = weft::go([&] {
      auto mine = std::make_unique<int>(1);
      auto both = [&] {
        weft::select(on_send(out, std::move(mine), never_called), on_recv(in, never_called));
      };
      EXPECT_THROW(weft::with_timeout(1ms, both), weft::timed_out);
      was_late.set();
      EXPECT_THROW(both(), weft::cancelled);
      EXPECT_THROW(both(), weft::cancelled) << "at once, for the request stays";
      EXPECT_NE(mine, nullptr);
    });
    was_late.wait();
    until_parked(1);
    fiber.cancel();
    fiber.join();
    EXPECT_FALSE(in.try_send(1));
    EXPECT_EQ(out.try_recv(), std::nullopt);
  });
}

TEST_P(Select, PlainThreadsMaySelect) {
  inside([] {
    weft::channel<int> in;
    weft::channel<int> out;
    weft::channel<int> quit;
    std::thread outside([=] {
      for (bool go_on = true; go_on;)
        weft::select(on_recv(in, [&](std::optional<int> v) { out.send(*v + 1); }),
                     on_recv(quit, [&] { go_on = false; }), after(1h, never_called));
    });
    for (int i = 0; i < 300; ++i) {
      in.send(i);
      ASSERT_EQ(out.recv(), i + 1);
    }
    quit.close();
    outside.join();
  });
}

TEST_P(Select, ChannelsMayGoRightAfterIt) {
  inside([] {
    for (int i = 0; i < 20'000 / weft_test::slowness; ++i) {
      auto a = std::make_unique<weft::channel<int>>();
      auto b = std::make_unique<weft::channel<int>>(1);
      auto sender = weft::go([&at = i % 2 == 0 ? *a : *b] { at.send(1); });
      if (i % 3 == 0) weft::yield();
      weft::select(on_recv(*a, [](auto) {}), on_recv(*b, [](auto) {}));
      a.reset();
      b.reset();
      sender.join();
    }
  });
}

TEST_P(Select, ChannelsMayGoBeforeItHasReturned) {
  inside([] {
    for (int i = 0; i < 20'000 / weft_test::slowness; ++i) {
      auto done = std::make_unique<weft::channel<int>>();
      auto quit = std::make_unique<weft::channel<int>>();
      auto selector = weft::go([&d = *done, &q = *quit] {
        weft::select(on_recv(q, never_called), on_send(d, 1), on_recv(q, never_called));
      });
      if (i % 3 == 0) weft::yield();
      done->recv();
      done.reset();
      quit.reset();
      selector.join();
    }
  });
}

// A channel whose last handle is the select's own may hold values that wait when they are
// destroyed.
TEST_P(Select, NoCaseIsLeftBehindWhileAValueIsDestroyed) {
  struct lingering {
    lingering(weft::event* begun, weft::event* over) : entered(begun), leave(over) {}
    lingering(lingering&& other) noexcept
        : entered(std::exchange(other.entered, nullptr)), leave(other.leave) {}
    ~lingering() {
      if (entered == nullptr) return;
      entered->set();
      leave->wait();
    }
    weft::event* entered;
    weft::event* leave;
  };
  inside([] {
    weft::event entered;
    weft::event leave;
    const weft::channel<int> before;
    auto full = std::make_unique<weft::channel<lingering>>(1);
    const weft::channel<int> winner;
    const weft::channel<int> behind;
    full->send(lingering(&entered, &leave));
    int got = 0;
    auto selector = weft::go([&] {
      weft::select(on_recv(before, never_called), on_recv(behind, never_called),
                   on_send(*full, lingering(nullptr, nullptr), never_called),
                   on_recv(winner, [&](auto v) { got = *v; }));
    });
    until_parked(1);
    auto sender = weft::go([&] {
      winner.send(7);
      full.reset();
    });
    entered.wait();
    EXPECT_FALSE(before.try_send(1));
    EXPECT_FALSE(behind.try_send(1));
    leave.set();
    selector.join();
    sender.join();
    EXPECT_EQ(got, 7);
  });
}

TEST_P(Select, ChannelsMayGoOnceAValueIsInABuffer) {
  struct channels {
    weft::channel<int> before;
    weft::channel<int> buffer{1};
    weft::channel<int> behind[6];
  };
  inside([] {
    weft_test::destroy_at_once<channels>(
        20'000 / weft_test::slowness, [] { return std::make_unique<channels>(); },
        [](channels& all) {
          weft::select(on_recv(all.before, never_called), on_send(all.buffer, 1),
                       on_recv(all.behind[0], never_called), on_recv(all.behind[1], never_called),
                       on_recv(all.behind[2], never_called), on_recv(all.behind[3], never_called),
                       on_recv(all.behind[4], never_called), on_recv(all.behind[5], never_called),
                       otherwise(never_called));
        },
        [](channels& all) {
          while (!all.buffer.try_recv()) weft::yield();
        });
  });
}

}  // namespace
