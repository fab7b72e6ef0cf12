// A hundred thousand races each, with every outcome accounted for: completion against cancellation,
// wake against deadline, bytes against both.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <vector>

#include "fiber/park.hpp"
#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using weft_test::slowness;

class Races : public weft_test::fiber_fixture {};
FIBER_SUITE(Races);

constexpr int rounds = 100'000 / slowness;

// Runs body(random number) in several fibers at once, `rounds` times in all.
template <class Body>
void many_times(Body body) {
  constexpr int lanes = 20;
  weft::group all;
  for (int lane = 0; lane < lanes; ++lane)
    all.go([&body, lane] {
      std::minstd_rand random(static_cast<unsigned>(lane + 1));
      for (int i = 0; i < rounds / lanes; ++i) body(static_cast<unsigned>(random()) >> 8);
    });
  all.wait();
}

TEST_P(Races, AFiberEndsOrIsCancelled) {
  inside([] {
    std::atomic<int> finished{0}, stopped{0};
    many_times([&](unsigned random) {
      auto racer = weft::go([random] {
        for (unsigned k = 0; k < random % 4; ++k) weft::yield();
        return random;
      });
      if (random % 3 == 0) weft::yield();
      racer.cancel();
      try {
        EXPECT_EQ(racer.join(), random);
        ++finished;
      } catch (const weft::fiber_cancelled&) {
        ++stopped;
      }
    });
    EXPECT_EQ(finished + stopped, rounds);
  });
}

TEST_P(Races, AWaitIsNotifiedOrTimesOut) {
  inside([] {
    using namespace weft::detail;
    std::atomic<int> notified{0}, late{0}, won{0}, lost{0};
    many_times([&](unsigned random) {
      const auto when = steady_clock::now() + std::chrono::nanoseconds(random % 20'000);
      spin_lock lock;
      wait_list list;
      auto waker = weft::go([&, when, random] {
        weft::sleep_until(when - std::chrono::nanoseconds(random % 3'000));
        wake_batch wakes;
        std::lock_guard<spin_lock> hold(lock);
        list.claim_one(wakes) ? ++won : ++lost;
      });
      parking wait("race");
      wait_node node(wait.self());
      {
        std::lock_guard<spin_lock> hold(lock);
        list.push(node);
      }
      if (wait.park_until(when.time_since_epoch().count()) == wake_reason::notified) {
        ++notified;
      } else {
        ++late;
        std::lock_guard<spin_lock> hold(lock);
        wait_list::unlink(node);
      }
      waker.wait();
    });
    EXPECT_EQ(notified + late, rounds);
    EXPECT_EQ(won, notified);
    EXPECT_EQ(lost, late);
    EXPECT_GT(notified, 0);
    EXPECT_GT(late, 0);
  });
}

TEST_P(Races, ADeadlineAroundAJoinGivesOneOfBoth) {
  inside([] {
    std::atomic<int> late{0}, in_time{0};
    many_times([&](unsigned random) {
      const auto when = steady_clock::now() + std::chrono::nanoseconds(random % 20'000);
      auto other = weft::go([when] { weft::sleep_until(when); });
      try {
        weft::with_deadline(when, [&] { other.wait(); });
        ++in_time;
      } catch (const weft::timed_out&) {
        ++late;
      }
      other.wait();
    });
    EXPECT_EQ(late + in_time, rounds);
  });
}

TEST_P(Races, NoByteIsLostOrDoubledByACancelledRead) {
  inside([] {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    unsigned char next_sent = 0, next_seen = 0;
    int got = 0, cancelled = 0, sent = 0;
    std::minstd_rand random(7);
    for (int i = 0; i < rounds; ++i) {
      auto reader = weft::go([&] {
        unsigned char byte[3];
        const std::size_t count = weft::read(ends[1], byte, sizeof byte);
        for (std::size_t k = 0; k < count; ++k) EXPECT_EQ(byte[k], next_seen++);
        got += static_cast<int>(count);
      });
      const unsigned how = static_cast<unsigned>(random()) >> 8;
      if (how % 2 == 0) weft::yield();
      if (how % 5 != 0) {
        weft::write(ends[0], &next_sent, 1);
        ++next_sent;
        ++sent;
      }
      if (how % 7 == 0) weft::yield();
      reader.cancel();
      try {
        reader.join();
      } catch (const weft::fiber_cancelled&) {
        ++cancelled;
      }
    }
    EXPECT_GT(cancelled, 0);
    while (got < sent) {
      unsigned char byte[64];
      const std::size_t count = weft::read(ends[1], byte, sizeof byte);
      for (std::size_t k = 0; k < count; ++k) EXPECT_EQ(byte[k], next_seen++);
      got += static_cast<int>(count);
    }
    EXPECT_EQ(got, sent);
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

}  // namespace
