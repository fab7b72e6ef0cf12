// select under races, and everything at once: fibers of two runtimes and plain threads send and
// receive in every way there is, are cancelled and give up, and each value arrives once.
#include <weft/select.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::after;
using weft::on_recv;
using weft::on_send;
using weft::otherwise;

class SelectRace : public weft_test::fiber_fixture {};
FIBER_SUITE(SelectRace);

constexpr int rounds = 100'000 / weft_test::slowness;

void yield_times(int count) {
  for (; count > 0; --count) weft::yield();
}

TEST_P(SelectRace, TwoSelectsFacingEachOtherMeetOnOneChannel) {
  inside([] {
    const weft::channel<int> a;
    const weft::channel<int> b;
    struct tally {
      long sent = 0, received = 0, on_a = 0, on_b = 0;
    };
    auto side = [&](const weft::channel<int>& out, const weft::channel<int>& in) {
      tally mine;
      for (int i = 0; i < rounds; ++i)
        weft::select(on_recv(in, [&](std::optional<int> v) { mine.received += *v; }),
                     on_send(out, 1, [&] { ++mine.sent; }));
      return mine;
    };
    auto other = weft::go([&] { return side(b, a); });
    const tally one = side(a, b);
    const tally two = other.join();
    EXPECT_EQ(one.sent, two.received);
    EXPECT_EQ(two.sent, one.received);
    EXPECT_EQ(one.sent + one.received, rounds);
    EXPECT_GT(one.sent, 0);
    EXPECT_GT(two.sent, 0);
  });
}

TEST_P(SelectRace, CancelAgainstSelect) {
  inside([] {
    int taken = 0;
    int cancelled = 0;
    for (int i = 0; i < rounds; ++i) {
      const weft::channel<int> a;
      const weft::channel<std::unique_ptr<int>> b;
      bool received = false;
      bool sent = false;
      bool kept = true;  // also if it never starts
      bool ended = false;
      auto victim = weft::go([&] {
        auto mine = std::make_unique<int>(i);
        try {
          weft::select(on_recv(a, [&](std::optional<int> v) { received = v == i; }),
                       on_send(b, std::move(mine), [&] { sent = true; }));
        } catch (const weft::cancelled&) {
          ended = true;
        }
        kept = mine != nullptr;
      });
      auto killer = weft::go([&victim, i] {
        yield_times(i % 4);
        victim.cancel();
      });
      yield_times(i / 4 % 4);
      const bool gave = a.try_send(i);
      const bool took = b.try_recv().has_value();
      killer.join();
      victim.wait();
      ASSERT_EQ(gave, received);
      ASSERT_EQ(took, sent);
      ASSERT_EQ(kept, !sent);
      ASSERT_LE(received + sent + ended, 1);
      taken += received || sent ? 1 : 0;
      cancelled += ended ? 1 : 0;
    }
    EXPECT_GT(taken, rounds / 100);
    EXPECT_GT(cancelled, rounds / 100);
  });
}

TEST_P(SelectRace, CloseAgainstSelect) {
  inside([] {
    for (int i = 0; i < rounds / 10; ++i) {
      const weft::channel<int> in(static_cast<std::size_t>(i % 2));
      const weft::channel<int> other;
      std::atomic<int> received{0};
      weft::group all;
      for (int k = 0; k < 2; ++k)
        all.go([&] {
          for (bool open = true; open;)
            weft::select(on_recv(other, [](std::optional<int>) {}),
                         on_recv(in, [&](std::optional<int> v) {
                           open = v.has_value();
                           received += v.value_or(0);
                         }));
        });
      all.go([&] {
        in.send(1);
        in.send(1);
        weft::select(on_send(in, 1), on_recv(other, [](std::optional<int>) {}));
        in.close();
      });
      all.wait();
      ASSERT_EQ(received, 3);
    }
  });
}

TEST_P(SelectRace, FibersEndWhileTheyAreWaitedFor) {
  inside([] {
    for (int i = 0; i < rounds / 10; ++i) {
      const weft::channel<int> ch;
      auto one = weft::go([i] { yield_times(i % 3); });
      auto two = weft::go([&, i] {
        yield_times(i / 3 % 3);
        return ch.try_send(1);
      });
      bool got = false;
      weft::select(weft::on_ready(one), weft::on_ready(two),
                   on_recv(ch, [&](std::optional<int>) { got = true; }));
      ASSERT_EQ(two.join(), got);
      one.join();
    }
  });
}

// ---- everything at once

struct random_numbers {
  std::uint64_t state;
  std::uint64_t operator()(std::uint64_t limit) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % limit;
  }
};

class exchange {
 public:
  static constexpr std::size_t most = 1u << 20;

  // One attempt to send the next number, in any way. It counts as sent exactly if that says so.
  void send_one(random_numbers& random) {
    auto value = std::make_unique<std::size_t>(next_.fetch_add(1));
    const std::size_t number = *value;
    const auto& to = channels_[random(channels_.size())];
    const auto& also = channels_[random(channels_.size())];
    const auto limit = std::chrono::microseconds(random(60));
    bool done = false;
    switch (random(5)) {
      case 0:
        done = to.send_for(std::move(value), 1ms);
        break;
      case 1:
        done = to.send_for(std::move(value), limit);
        break;
      case 2:
        done = to.try_send(std::move(value));
        break;
      case 3:
        weft::select(on_send(to, std::move(value), [&] { done = true; }),
                     on_recv(also, [&](auto got) { count(got); }), after(limit));
        break;
      default:
        weft::select(on_recv(also, [&](auto got) { count(got); }),
                     on_send(to, std::move(value), [&] { done = true; }), otherwise());
    }
    ASSERT_EQ(done, value == nullptr) << "either sent or still here";
    if (done) {
      sent_.fetch_add(1);
      sum_.fetch_add(number);
    }
  }

  void receive_one(random_numbers& random) {
    const auto& from = channels_[random(channels_.size())];
    const auto& also = channels_[random(channels_.size())];
    const auto limit = std::chrono::microseconds(random(60));
    switch (random(5)) {
      case 0:
        count(from.recv_for(1ms));
        break;
      case 1:
        count(from.recv_for(limit));
        break;
      case 2:
        count(from.try_recv());
        break;
      default:
        weft::select(on_recv(from, [&](auto got) { count(got); }),
                     on_recv(also, [&](auto got) { count(got); }), after(limit));
    }
  }

  void work(std::uint64_t seed, int times) {
    random_numbers random{seed * 0x9E3779B97F4A7C15u + 1};
    for (; times > 0; --times) {
      if (random(2) == 0)
        send_one(random);
      else
        receive_one(random);
    }
  }

  void drain() {
    for (const auto& each : channels_)
      while (auto got = each.try_recv()) count(got);
  }

  void expect_balance() {
    drain();
    EXPECT_EQ(received_, sent_);
    EXPECT_EQ(received_sum_, sum_);
    EXPECT_GT(sent_, 100u);
    for (const auto& each : seen_) ASSERT_LE(each, 1);
  }

 private:
  void count(std::optional<std::unique_ptr<std::size_t>>& got) {
    if (!got) return;
    received_.fetch_add(1);
    received_sum_.fetch_add(**got);
    seen_[**got % most].fetch_add(1);
  }
  void count(std::optional<std::unique_ptr<std::size_t>>&& got) { count(got); }

  std::vector<weft::channel<std::unique_ptr<std::size_t>>> channels_ = make_channels();
  std::vector<std::atomic<unsigned char>> seen_ = std::vector<std::atomic<unsigned char>>(most);
  std::atomic<std::size_t> next_{0}, sent_{0}, received_{0}, sum_{0}, received_sum_{0};

  static std::vector<weft::channel<std::unique_ptr<std::size_t>>> make_channels() {
    std::vector<weft::channel<std::unique_ptr<std::size_t>>> made;
    for (const std::size_t capacity : {0u, 0u, 1u, 5u}) made.emplace_back(capacity);
    return made;
  }
};

// Starts fibers that work, and cancels them half-way.
template <class Go>
void stir(exchange& shared, std::uint64_t seed, Go&& start) {
  for (std::uint64_t i = 0; i < 150 / weft_test::slowness; ++i) {
    std::vector<weft::fiber<void>> workers;
    for (std::uint64_t k = 0; k < 4; ++k)
      workers.push_back(start([&shared, seed, i, k] { shared.work(seed + i * 4 + k, 40); }));
    for (auto& each : workers) {
      each.wait_for(std::chrono::microseconds(100 + i % 7 * 50));
      if (i % 2 == 0) each.cancel();
    }
    for (auto& each : workers) each.wait();
  }
}

TEST_P(SelectRace, TwoRuntimesAndThreadsExchangeEachValueOnce) {
  weft::runtime second(how());
  exchange shared;
  inside([&] {
    std::thread outside([&] { shared.work(1, 3'000 / weft_test::slowness); });
    std::thread starter(
        [&] { stir(shared, 1'000'000, [&](auto&& body) { return second.go(body); }); });
    stir(shared, 2'000'000, [](auto&& body) { return weft::go(body); });
    weft::go([&] { shared.work(3, 3'000 / weft_test::slowness); }).join();
    weft::blocking([&] {
      outside.join();
      starter.join();
    });
  });
  second.shutdown();
  shared.expect_balance();
}

}  // namespace
