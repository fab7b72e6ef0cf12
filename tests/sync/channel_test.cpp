// Channels: order, closing, time limits, cancellation, and values of every kind.
#include <weft/channel.hpp>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::until_parked;

class Channel : public weft_test::fiber_fixture {};
FIBER_SUITE(Channel);

// ---- handing over

TEST_P(Channel, ARendezvousWaitsForTheReceiver) {
  inside([] {
    weft::channel<int> ch;
    std::atomic<bool> returned{false};
    auto sender = weft::go([&] {
      ch.send(7);
      returned = true;
    });
    until_parked(1);
    EXPECT_FALSE(returned);
    EXPECT_EQ(ch.size(), 0u) << "a waiting sender's value is not in the channel";
    EXPECT_EQ(ch.recv(), 7);
    sender.join();
    EXPECT_TRUE(returned);
  });
}

TEST_P(Channel, AReceiverWaitsForTheSender) {
  inside([] {
    weft::channel<std::string> ch;
    auto receiver = weft::go([&] { return ch.recv(); });
    until_parked(1);
    ch.send("hello");
    EXPECT_EQ(receiver.join(), "hello");
  });
}

TEST_P(Channel, ABufferTakesAsManyAsItHolds) {
  inside([] {
    weft::channel<int> ch(3);
    EXPECT_EQ(ch.capacity(), 3u);
    for (int i = 0; i < 3; ++i) ch.send(i);
    EXPECT_EQ(ch.size(), 3u);
    EXPECT_FALSE(ch.try_send(3));
    auto sender = weft::go([&] { ch.send(3); });
    until_parked(1);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(ch.recv(), i);
    sender.join();
    EXPECT_EQ(ch.try_recv(), std::nullopt);
  });
}

TEST_P(Channel, ValuesComeInOrderThroughAGrowingBuffer) {
  inside([] {
    weft::channel<std::size_t> ch(5'000);
    std::size_t in = 0;
    std::size_t out = 0;
    for (std::size_t step = 1; in < 20'000; step = step * 3 % 1'009) {
      for (std::size_t i = 0; i < 2 * step && ch.size() < ch.capacity(); ++i) ch.send(in++);
      for (std::size_t i = 0; i < step && ch.size() > 0; ++i) ASSERT_EQ(ch.recv(), out++);
    }
    while (out < in) ASSERT_EQ(ch.recv(), out++);
  });
}

TEST_P(Channel, ReceiversAreServedInOrder) {
  for (const std::size_t capacity : {0u, 2u})
    inside([capacity] {
      weft::channel<int> ch(capacity);
      std::vector<weft::fiber<std::optional<int>>> receivers;
      for (std::size_t i = 0; i < 10; ++i) {
        receivers.push_back(weft::go([&] { return ch.recv(); }));
        until_parked(i + 1);
      }
      for (int i = 0; i < 10; ++i) ch.send(i);
      for (int i = 0; i < 10; ++i) EXPECT_EQ(receivers[static_cast<std::size_t>(i)].join(), i);
    });
}

TEST_P(Channel, SendersAreServedInOrder) {
  for (const std::size_t capacity : {0u, 2u})
    inside([capacity] {
      weft::channel<int> ch(capacity);
      weft::group senders;
      for (int i = 0; i < 10; ++i) {
        senders.go([&ch, i] { ch.send(i); });
        if (i >= static_cast<int>(capacity))
          until_parked(static_cast<std::size_t>(i) + 1 - capacity);
        while (ch.size() < std::min(capacity, static_cast<std::size_t>(i) + 1)) weft::yield();
      }
      for (int i = 0; i < 10; ++i) EXPECT_EQ(ch.recv(), i);
      senders.wait();
    });
}

TEST_P(Channel, AWaiterThatLeftIsPassedOver) {
  inside([] {
    weft::channel<int> ch;
    auto first = weft::go([&] { return ch.recv(); });
    until_parked(1);
    auto second = weft::go([&] { return ch.recv(); });
    until_parked(2);
    first.cancel();
    EXPECT_THROW(first.join(), weft::fiber_cancelled);
    ch.send(5);
    EXPECT_EQ(second.join(), 5);
  });
}

TEST_P(Channel, TryNeverWaits) {
  inside([] {
    weft::channel<std::string> ch;
    std::string text = "a text that is too long to be stored in the string itself";
    EXPECT_FALSE(ch.try_send(std::move(text)));
    EXPECT_EQ(text.size(), 57u) << "what was not sent is untouched";
    EXPECT_EQ(ch.try_recv(), std::nullopt);

    auto receiver = weft::go([&] { return ch.recv(); });
    until_parked(1);
    EXPECT_TRUE(ch.try_send(std::move(text)));
    EXPECT_EQ(receiver.join()->size(), 57u);

    auto sender = weft::go([&] { ch.send("from a sender"); });
    until_parked(1);
    EXPECT_EQ(ch.try_recv(), "from a sender");
    sender.join();
  });
}

// ---- closing

TEST_P(Channel, AClosedChannelIsDrainedFirst) {
  inside([] {
    weft::channel<int> ch(4);
    ch.send(1);
    ch.send(2);
    EXPECT_FALSE(ch.closed());
    ch.close();
    ch.close();
    EXPECT_TRUE(ch.closed());
    EXPECT_THROW(ch.send(3), weft::channel_closed);
    EXPECT_THROW(ch.try_send(3), weft::channel_closed);
    EXPECT_THROW(ch.send_for(3, 1h), weft::channel_closed);
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_EQ(ch.try_recv(), 2);
    EXPECT_EQ(ch.recv(), std::nullopt);
    EXPECT_EQ(ch.recv_for(1h), std::nullopt);
  });
}

TEST_P(Channel, ClosingEndsEveryWait) {
  inside([] {
    weft::channel<int> ch;
    std::vector<weft::fiber<std::optional<int>>> receivers;
    for (int i = 0; i < 10; ++i) receivers.push_back(weft::go([&] { return ch.recv(); }));
    until_parked(10);
    ch.close();
    for (auto& each : receivers) EXPECT_EQ(each.join(), std::nullopt);
  });
}

TEST_P(Channel, ASenderThatIsClosedOnKeepsItsValue) {
  inside([] {
    weft::channel<std::unique_ptr<int>> ch(1);
    ch.send(std::make_unique<int>(0));
    std::vector<weft::fiber<int>> senders;
    for (int i = 1; i <= 5; ++i)
      senders.push_back(weft::go([&ch, i] {
        auto mine = std::make_unique<int>(i);
        EXPECT_THROW(ch.send(std::move(mine)), weft::channel_closed);
        return mine == nullptr ? -1 : *mine;
      }));
    until_parked(5);
    ch.close();
    for (int i = 1; i <= 5; ++i) EXPECT_EQ(senders[static_cast<std::size_t>(i - 1)].join(), i);
    EXPECT_EQ(**ch.recv(), 0) << "what the channel held is still to be received";
    EXPECT_EQ(ch.recv(), std::nullopt);
  });
}

TEST_P(Channel, ALoopReceivesUntilTheEnd) {
  inside([] {
    weft::channel<int> ch(2);
    auto sender = weft::go([=] {
      for (int i = 1; i <= 100; ++i) ch.send(i);
      ch.close();
    });
    int sum = 0;
    for (int each : ch) sum += each;
    EXPECT_EQ(sum, 5050);
    sender.join();
    for (int each : ch) FAIL() << each;
  });
}

TEST_P(Channel, IteratorsServeAlgorithms) {
  inside([] {
    weft::channel<int> ch(10);
    for (int i = 0; i < 10; ++i) ch.send(i);
    ch.close();
    const std::vector<int> all(ch.begin(), ch.end());
    EXPECT_EQ(all.size(), 10u);
    EXPECT_EQ(all.back(), 9);

    weft::channel<std::unique_ptr<int>> owners(1);
    owners.send(std::make_unique<int>(4));
    owners.close();
    for (auto& each : owners) EXPECT_EQ(*each, 4);
  });
}

// ---- time limits

TEST_P(Channel, TimeLimitsEndWaits) {
  inside([] {
    weft::channel<std::unique_ptr<int>> ch;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(ch.recv_for(2ms), std::nullopt);
    EXPECT_EQ(ch.recv_until(std::chrono::steady_clock::now() + 2ms), std::nullopt);
    auto mine = std::make_unique<int>(1);
    EXPECT_FALSE(ch.send_for(std::move(mine), 2ms));
    EXPECT_FALSE(ch.send_until(std::move(mine), std::chrono::steady_clock::now() + 2ms));
    EXPECT_NE(mine, nullptr);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 8ms);
    EXPECT_FALSE(ch.closed());
  });
}

TEST_P(Channel, ATimeLimitThatIsOverStillTakesWhatIsReady) {
  inside([] {
    weft::channel<int> ch(1);
    EXPECT_TRUE(ch.send_for(1, -1s));
    EXPECT_FALSE(ch.send_for(2, 0s));
    EXPECT_FALSE(ch.send_until(2, {}));
    EXPECT_EQ(ch.recv_for(std::chrono::nanoseconds::min()), 1);
    EXPECT_EQ(ch.recv_for(0s), std::nullopt);
    EXPECT_EQ(ch.recv_until({}), std::nullopt);
  });
}

TEST_P(Channel, AnEndlessTimeLimitWaitsForTheValue) {
  inside([] {
    weft::channel<int> ch;
    auto a = weft::go([&] { return ch.recv_for(std::chrono::hours::max()); });
    until_parked(1);
    EXPECT_TRUE(ch.send_for(3, std::chrono::nanoseconds::max()));
    EXPECT_EQ(a.join(), 3);
  });
}

TEST_P(Channel, ADeadlineAroundReachesEveryOperation) {
  inside([] {
    weft::channel<std::unique_ptr<int>> ch;
    auto mine = std::make_unique<int>(1);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { ch.recv(); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { ch.send(std::move(mine)); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { ch.recv_for(1h); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { ch.send_for(std::move(mine), 1h); }),
                 weft::timed_out);
    EXPECT_NE(mine, nullptr);
    EXPECT_FALSE(ch.try_send(nullptr)) << "nobody waits any more";
  });
}

// ---- cancellation

TEST_P(Channel, EachWaitIsCancelledOnce) {
  inside([] {
    weft::channel<std::unique_ptr<int>> ch;
    auto expect_cancelled = [](auto&& operation) {
      auto fiber = weft::go([&] { EXPECT_THROW(operation(), weft::cancelled); });
      until_parked(1);
      fiber.cancel();
      fiber.join();
    };
    expect_cancelled([&] { ch.recv(); });
    expect_cancelled([&] { ch.recv_for(1h); });
    expect_cancelled([&] {
      for (auto& each : ch) FAIL() << *each;
    });
    auto mine = std::make_unique<int>(1);
    expect_cancelled([&] { ch.send(std::move(mine)); });
    expect_cancelled([&] { ch.send_for(std::move(mine), 1h); });
    EXPECT_NE(mine, nullptr) << "a value that was not sent stays with its sender";
    EXPECT_FALSE(ch.try_send(nullptr));
    EXPECT_EQ(ch.try_recv(), std::nullopt);
  });
}

TEST_P(Channel, ACancelledFiberTakesPartInNothing) {
  inside([] {
    weft::channel<int> ch(2);
    ch.send(1);
    auto fiber = weft::go([&] {
      EXPECT_THROW(weft::sleep(1h), weft::cancelled);
      EXPECT_THROW(ch.recv(), weft::cancelled) << "although a value is there";
      EXPECT_THROW(ch.send(2), weft::cancelled) << "although there is room";
      EXPECT_EQ(ch.try_recv(), 1) << "what cannot park is no cancellation point";
    });
    until_parked(1);
    fiber.cancel();
    fiber.join();
    EXPECT_EQ(ch.size(), 0u);
  });
}

TEST_P(Channel, WorksWhileAnExceptionUnwindsACancelledFiber) {
  inside([] {
    weft::channel<int> ch;
    struct farewell {
      const weft::channel<int>& to;
      ~farewell() { to.send(9); }
    };
    auto fiber = weft::go([&] {
      farewell on_exit{ch};
      weft::sleep(1h);
    });
    until_parked(1);
    fiber.cancel();
    EXPECT_EQ(ch.recv(), 9);
    EXPECT_THROW(fiber.join(), weft::fiber_cancelled);
  });
}

// ---- values of every kind

struct no_default {
  explicit no_default(int v) : value(v) {}
  int value;
};

// Counts how many live, and may throw when moved.
struct fragile {
  explicit fragile(int v) : value(v) { ++alive; }
  fragile(fragile&& other) noexcept(false) : value(other.value) {
    if (fail_next_move) {
      fail_next_move = false;
      throw std::runtime_error("cannot be moved");
    }
    other.value = 0;
    ++alive;
  }
  fragile& operator=(fragile&& other) noexcept(false) {
    value = other.value;
    other.value = 0;
    return *this;
  }
  ~fragile() { --alive; }

  int value;
  inline static std::atomic<int> alive{0};
  inline static std::atomic<bool> fail_next_move{false};
};

struct alignas(64) aligned {
  char text[100];
};

TEST_P(Channel, AnyMovableTypeCanBeSent) {
  inside([] {
    for (const std::size_t capacity : {0u, 1u, 3u}) {
      weft::channel<no_default> plain(capacity);
      weft::channel<std::unique_ptr<int>> owners(capacity);
      weft::channel<aligned> wide(capacity);
      weft::channel<weft::channel<int>> channels(capacity);
      weft::channel<int> inner(1);
      auto sender = weft::go([&] {
        for (int i = 0; i < 5; ++i) {
          plain.send(no_default(i));
          owners.send(std::make_unique<int>(i));
          wide.send(aligned{"wide"});
          channels.send(inner);
        }
      });
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(plain.recv()->value, i);
        EXPECT_EQ(**owners.recv(), i);
        const auto got = wide.recv();
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&*got) % 64, 0u);
        EXPECT_STREQ(got->text, "wide");
        EXPECT_EQ(channels.recv(), inner);
      }
      sender.join();
    }
  });
}

// A message that tells where the answer goes, as another of its kind.
struct question {
  int number;
  weft::channel<question> answers;
};

TEST_P(Channel, AMessageMayHoldAChannelOfItsKind) {
  inside([] {
    weft::channel<question> asked;
    auto server = weft::go([&] {
      for (question& next : asked) next.answers.send({next.number + 1, asked});
    });
    const weft::channel<question> answers;
    asked.send({1, answers});
    EXPECT_EQ(answers.recv()->number, 2);
    asked.close();
    server.join();
  });
}

TEST_P(Channel, AValueNeedNotGiveItsAddress) {
  struct shy {
    int value;
    shy* operator&() = delete;
  };
  inside([] {
    weft::channel<shy> ch(2);
    ch.send({1});
    weft::select(weft::on_send(ch, shy{2}));
    EXPECT_EQ(ch.begin()->value, 1);
    weft::select(weft::on_recv(ch, [](std::optional<shy> got) { EXPECT_EQ(got->value, 2); }));
  });
}

TEST_P(Channel, AMoveThatThrowsLosesNothing) {
  inside([] {
    {
      weft::channel<fragile> ch(2);
      fragile mine(5);
      fragile::fail_next_move = true;
      EXPECT_THROW(ch.send(std::move(mine)), std::runtime_error);
      EXPECT_EQ(mine.value, 5);
      EXPECT_EQ(ch.size(), 0u);

      ch.send(std::move(mine));
      EXPECT_EQ(ch.recv()->value, 5);
      mine.value = 6;
      ch.send(fragile(1));
      ch.send(fragile(2));
      EXPECT_FALSE(ch.try_send(std::move(mine)));
      EXPECT_FALSE(ch.send_for(std::move(mine), 1us));
      EXPECT_EQ(mine.value, 6) << "moved back";
      ch.close();
      EXPECT_THROW(ch.send(std::move(mine)), weft::channel_closed);
      EXPECT_EQ(mine.value, 6);
      EXPECT_EQ(ch.recv()->value, 1);
    }
    EXPECT_EQ(fragile::alive, 0) << "what nobody received is destroyed with the channel";
  });
}

TEST_P(Channel, ACopyThatThrowsSendsNothing) {
  struct uncopyable {
    uncopyable() = default;
    uncopyable(const uncopyable&) { throw std::runtime_error("no copy"); }
    uncopyable(uncopyable&&) noexcept = default;
  };
  inside([] {
    weft::channel<uncopyable> ch(1);
    const uncopyable one;
    EXPECT_THROW(ch.send(one), std::runtime_error);
    EXPECT_EQ(ch.size(), 0u);
    ch.send(uncopyable());
    EXPECT_EQ(ch.size(), 1u);
  });
}

TEST_P(Channel, WhatIsLeftGoesWithTheLastHandle) {
  const auto counted = std::make_shared<int>(0);
  inside([&counted] {
    auto first = std::make_unique<weft::channel<std::shared_ptr<int>>>(1'000);
    const weft::channel<std::shared_ptr<int>> second(*first);
    for (int i = 0; i < 600; ++i) first->send(counted);
    first.reset();
    EXPECT_EQ(counted.use_count(), 601);
    EXPECT_EQ(second.recv(), counted);
  });
  EXPECT_EQ(counted.use_count(), 1);
}

TEST_P(Channel, HandlesReferToOneChannel) {
  weft::channel<int> a(1);
  const weft::channel<int> b = a;
  weft::channel<int> c;
  EXPECT_TRUE(a == b);
  EXPECT_TRUE(a != c);
  a.send(1);
  EXPECT_EQ(b.size(), 1u);
  c = std::move(a);
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(a.size(), 0u) << "a handle that was moved from still refers to its channel";
}

TEST_P(Channel, ACapacityTakesMemoryOnlyAsItIsUsed) {
  weft::channel<std::string> ch(std::numeric_limits<std::size_t>::max() / 128);
  ch.send("one");
  EXPECT_EQ(ch.recv(), "one");
  constexpr std::size_t minus_one = std::numeric_limits<std::size_t>::max();
  EXPECT_THROW(weft::channel<int>{minus_one}, std::length_error);
}

// ---- threads and lifetimes

TEST_P(Channel, PlainThreadsTalkWithFibers) {
  inside([] {
    weft::channel<int> there(1);
    weft::channel<int> back;
    std::thread outside([=] {
      for (int each : there) back.send(each * 2);
      back.close();
    });
    for (int i = 0; i < 500; ++i) {
      there.send(i);
      ASSERT_EQ(back.recv(), i * 2);
    }
    there.close();
    EXPECT_EQ(back.recv(), std::nullopt);
    outside.join();
  });
}

TEST_P(Channel, PlainThreadsTalkWithoutARuntime) {
  weft::channel<int> ch;
  std::thread outside([=] {
    for (int i = 0; i < 200; ++i) ch.send(i);
    ch.close();
  });
  int next = 0;
  for (int each : ch) EXPECT_EQ(each, next++);
  EXPECT_EQ(next, 200);
  EXPECT_EQ(weft::channel<int>().recv_for(1ms), std::nullopt);
  outside.join();
}

TEST_P(Channel, MayGoRightAfterAnOperationIsDone) {
  inside([] {
    for (int i = 0; i < 20'000 / weft_test::slowness; ++i) {
      auto ch = std::make_unique<weft::channel<int>>(static_cast<std::size_t>(i % 2));
      auto other = weft::go([&at = *ch] { at.send(1); });
      if (i % 3 == 0) weft::yield();
      EXPECT_EQ(ch->recv(), 1);
      ch.reset();  // perhaps before the sender has returned
      other.join();

      ch = std::make_unique<weft::channel<int>>();
      auto receiver = weft::go([&at = *ch] { return at.recv(); });
      if (i % 3 == 0) weft::yield();
      ch->send(2);
      EXPECT_EQ(receiver.join(), 2);
    }
  });
}

}  // namespace
