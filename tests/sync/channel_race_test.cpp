// Channels under races: whatever ends a wait, every value that was sent is received once.
#include <weft/channel.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class ChannelRace : public weft_test::fiber_fixture {};
FIBER_SUITE(ChannelRace);

constexpr int rounds = 100'000 / weft_test::slowness;

// What happened to one side of a hand-over.
enum class fate { none, done, cancelled, timed_out, closed };

void yield_times(int count) {
  for (; count > 0; --count) weft::yield();
}

TEST_P(ChannelRace, CancelAgainstReceiving) {
  inside([] {
    int received_in_all = 0;
    int cancelled_in_all = 0;
    for (int i = 0; i < rounds; ++i) {
      const weft::channel<int> ch(static_cast<std::size_t>(i % 2));
      fate receiver = fate::none;
      auto victim = weft::go([&] {
        try {
          receiver = ch.recv() == i ? fate::done : fate::closed;
        } catch (const weft::cancelled&) {
          receiver = fate::cancelled;
        }
      });
      auto killer = weft::go([&victim, i] {
        yield_times(i % 4);
        victim.cancel();
      });
      yield_times(i / 4 % 4);
      const bool sent = ch.try_send(i);
      killer.join();
      victim.wait();
      const bool received = receiver == fate::done;
      const bool held = ch.try_recv() == i;
      ASSERT_EQ(sent, received || held);
      ASSERT_FALSE(received && held);
      ASSERT_NE(receiver, fate::closed);
      (received ? received_in_all : cancelled_in_all)++;
    }
    EXPECT_GT(received_in_all, rounds / 100);
    EXPECT_GT(cancelled_in_all, rounds / 100);
  });
}

TEST_P(ChannelRace, CancelAgainstSending) {
  inside([] {
    int sent_in_all = 0;
    int kept_in_all = 0;
    for (int i = 0; i < rounds; ++i) {
      const weft::channel<std::unique_ptr<int>> ch;
      fate sender = fate::none;
      bool kept = false;
      auto victim = weft::go([&] {
        auto mine = std::make_unique<int>(i);
        try {
          ch.send(std::move(mine));
          sender = fate::done;
        } catch (const weft::cancelled&) {
          sender = fate::cancelled;
        }
        kept = mine != nullptr;
      });
      auto killer = weft::go([&victim, i] {
        yield_times(i % 4);
        victim.cancel();
      });
      yield_times(i / 4 % 4);
      const auto got = ch.try_recv();
      killer.join();
      victim.wait();
      ASSERT_EQ(got.has_value(), sender == fate::done);
      ASSERT_EQ(kept, sender == fate::cancelled);
      if (got.has_value()) {
        ASSERT_EQ(**got, i);
      }
      (kept ? kept_in_all : sent_in_all)++;
    }
    EXPECT_GT(sent_in_all, rounds / 100);
    EXPECT_GT(kept_in_all, rounds / 100);
  });
}

TEST_P(ChannelRace, TimeLimitAgainstSending) {
  inside([] {
    for (int i = 0; i < rounds; ++i) {
      const weft::channel<int> ch;
      auto sender = weft::go([&] {
        if (i % 2 == 0) return ch.send_for(i, std::chrono::microseconds(i % 20));
        try {
          weft::with_timeout(std::chrono::microseconds(i % 20), [&] { ch.send(i); });
          return true;
        } catch (const weft::timed_out&) {
          return false;
        }
      });
      std::optional<int> got;
      if (i % 3 == 0)
        got = ch.recv_for(std::chrono::microseconds(i % 17));
      else
        for (int spins = i % 40; spins >= 0 && !got; --spins) {
          weft::yield();
          got = ch.try_recv();
        }
      ASSERT_EQ(sender.join(), got.has_value());
      if (got) {
        ASSERT_EQ(*got, i);
      }
    }
  });
}

// Both sides give up at about the same time, again and again on one channel.
TEST_P(ChannelRace, TimeLimitAgainstTimeLimit) {
  inside([] {
    const weft::channel<int> ch;
    auto sender = weft::go([&] {
      long sent = 0;
      for (int i = 0; i < rounds; ++i)
        if (ch.send_for(1, std::chrono::microseconds(i % 30))) ++sent;
      ch.close();
      return sent;
    });
    long received = 0;
    for (int i = 0; !ch.closed(); ++i)
      if (ch.recv_for(std::chrono::microseconds(i % 30))) ++received;
    while (ch.recv()) ++received;
    EXPECT_EQ(sender.join(), received);
  });
}

TEST_P(ChannelRace, CloseAgainstSendersKeepsAllThatWasSent) {
  inside([] {
    for (int i = 0; i < 10'000 / weft_test::slowness; ++i) {
      const weft::channel<int> ch(static_cast<std::size_t>(i % 4));
      std::atomic<int> sent{0};
      weft::group senders;
      for (int k = 0; k < 4; ++k)
        senders.go([&] {
          try {
            for (int n = 0; n < 5; ++n) {
              ch.send(n);
              sent.fetch_add(1, std::memory_order_relaxed);
            }
          } catch (const weft::channel_closed&) {
          }
        });
      auto closer = weft::go([&] {
        yield_times(i % 7);
        ch.close();
      });
      int received = 0;
      for (int each : ch) received += each >= 0 ? 1 : 0;
      senders.wait();
      closer.join();
      ASSERT_EQ(received, sent);
    }
  });
}

// Producers that close after the last push: nothing may be lost between the last value and the end.
TEST_P(ChannelRace, CloseAfterTheLastValueLosesNone) {
  inside([] {
    for (int i = 0; i < 10'000 / weft_test::slowness; ++i) {
      const weft::channel<int> ch(static_cast<std::size_t>(i % 3));
      std::atomic<int> producing{4};
      weft::group all;
      for (int k = 0; k < 4; ++k)
        all.go([&] {
          for (int n = 0; n < 3; ++n) ch.send(1);
          if (producing.fetch_sub(1) == 1) ch.close();
        });
      std::atomic<int> received{0};
      for (int k = 0; k < 2; ++k)
        all.go([&] {
          for (int each : ch) received += each;
        });
      all.wait();
      ASSERT_EQ(received, 12);
    }
  });
}

TEST_P(ChannelRace, ManySendersAndReceiversDeliverEachValueOnce) {
  for (const std::size_t capacity : {0u, 1u, 16u})
    inside([capacity] {
      constexpr std::size_t each = 5'000 / weft_test::slowness;
      const weft::channel<std::size_t> ch(capacity);
      std::vector<std::atomic<int>> seen(4 * each);
      weft::group receivers;
      for (int k = 0; k < 4; ++k)
        receivers.go([&] {
          for (std::size_t value : ch) seen[value].fetch_add(1, std::memory_order_relaxed);
        });
      {
        weft::group senders;
        for (std::size_t k = 0; k < 4; ++k)
          senders.go([&ch, k] {
            for (std::size_t i = 0; i < each; ++i) ch.send(k * each + i);
          });
        senders.wait();
      }
      ch.close();
      receivers.wait();
      for (auto& count : seen) ASSERT_EQ(count, 1);
    });
}

TEST_P(ChannelRace, PingPongNeverHangs) {
  inside([] {
    weft::group pairs;
    for (int pair = 0; pair < 64; ++pair)
      pairs.go([] {
        const weft::channel<int> there;
        const weft::channel<int> back;
        auto other = weft::go([&] {
          for (int i : there) back.send(i);
        });
        for (int i = 0; i < 2'000 / weft_test::slowness; ++i) {
          there.send(i);
          ASSERT_EQ(back.recv(), i);
        }
        there.close();
        other.join();
      });
    pairs.wait();
  });
}

}  // namespace
