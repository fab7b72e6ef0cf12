// wait_readable() and wait_writable(), as C libraries with sockets of their own need them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>

#include <map>
#include <random>

#include "io/socket_support.hpp"

using weft_test::descriptors;
using weft_test::outcome;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using FdWait = weft_test::fiber_fixture;
FIBER_SUITE(FdWait);

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Writes until there is no room.
void fill(int fd) {
  set_nonblocking(fd);
  const std::string much(1 << 16, 'x');
  while (::write(fd, much.data(), much.size()) > 0) continue;
}
void drain(int fd) {
  set_nonblocking(fd);
  std::string much(1 << 16, 'x');
  while (::read(fd, much.data(), much.size()) > 0) continue;
}

weft::fiber<std::string> readable(int fd) {
  return weft::go([fd] { return outcome([fd] { weft::wait_readable(fd); }); });
}
weft::fiber<std::string> writable(int fd) {
  return weft::go([fd] { return outcome([fd] { weft::wait_writable(fd); }); });
}

void put(int fd) { ASSERT_EQ(::write(fd, "x", 1), 1); }
char take(int fd) {
  char byte = 0;
  return ::read(fd, &byte, 1) == 1 ? byte : '\0';
}

// ---- what wakes

TEST_P(FdWait, ReadableAtTheEndOfTheStream) {
  inside([] {
    for (const bool only_half : {false, true}) {
      auto pair = descriptors::socket_pair();
      auto waiter = readable(pair[0]);
      until_parked(1);
      if (only_half)
        ::shutdown(pair[1], SHUT_WR);
      else
        pair.close(1);
      EXPECT_EQ(waiter.join(), "done");
    }
    auto pipe = descriptors::pipe();
    auto waiter = readable(pipe[0]);
    until_parked(1);
    pipe.close(1);
    EXPECT_EQ(waiter.join(), "done");
  });
}

TEST_P(FdWait, WritableWhenNobodyReadsAnyMore) {
  inside([] {
    auto pipe = descriptors::pipe();
    fill(pipe[1]);
    auto waiter = writable(pipe[1]);
    until_parked(1);
    pipe.close(0);
    EXPECT_EQ(waiter.join(), "done");
    EXPECT_EQ(::write(pipe[1], "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
  });
}

TEST_P(FdWait, AResetWakesBothDirections) {
  inside([] {
    auto [client, server] = weft_test::tcp_pair();
    fill(client.fd());
    auto reader = readable(client.fd());
    auto writer = writable(client.fd());
    until_parked(2);
    server.close();  // without having read
    EXPECT_EQ(reader.join(), "done");
    EXPECT_EQ(writer.join(), "done");
  });
}

// A socket that is connecting to the port of a listener, or to one where there is none.
int connecting(bool to_listener, int& listener) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(listener, address, size), 0);
  if (to_listener) ::listen(listener, 1);
  EXPECT_EQ(::getsockname(listener, address, &size), 0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ::connect(fd, address, size);
  return fd;
}

TEST_P(FdWait, WritableWhenAConnectionIsMadeOrRefused) {
  inside([] {
    for (const bool there : {true, false}) {
      int listener = -1;
      const int fd = connecting(there, listener);
      weft::wait_writable(fd);
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      sockaddr_in peer{};
      size = sizeof peer;
      const bool made = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
      EXPECT_EQ(made, there) << error;
      ::close(fd);
      ::close(listener);
    }
  });
}

// ---- several waiters

TEST_P(FdWait, DirectionsWakeApart) {
  inside([] {
    auto pair = descriptors::socket_pair();
    fill(pair[0]);
    for (int round = 0; round < 20; ++round) {
      auto reader = readable(pair[0]);
      auto writer = writable(pair[0]);
      until_parked(2);
      put(pair[1]);
      EXPECT_EQ(reader.join(), "done");
      EXPECT_FALSE(writer.done());
      take(pair[0]);

      reader = readable(pair[0]);
      until_parked(2);
      drain(pair[1]);
      EXPECT_EQ(writer.join(), "done");
      EXPECT_FALSE(reader.done());
      reader.cancel();
      EXPECT_EQ(outcome(reader), "cancelled");
      fill(pair[0]);
    }
  });
}

TEST_P(FdWait, AThousandFibersWaitForOneDescriptor) {
  inside([] {
    constexpr std::size_t many = 1000;
    const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::vector<weft::fiber<std::string>> waiters;
    for (std::size_t i = 0; i < many; ++i) waiters.push_back(readable(event));
    until_parked(many);
    for (std::size_t i = 0; i < many; i += 2) waiters[i].cancel();
    for (std::size_t i = 0; i < many; i += 2) EXPECT_EQ(outcome(waiters[i]), "cancelled");
    until_parked(many / 2);
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(event, &one, sizeof one), 8);
    for (std::size_t i = 1; i < many; i += 2) EXPECT_EQ(waiters[i].join(), "done");
    ::close(event);
  });
}

TEST_P(FdWait, ManyDescriptorsEachWakeTheirOwn) {
  inside([] {
    constexpr std::size_t many = 100;
    std::vector<descriptors> pipes;
    for (std::size_t i = 0; i < many; ++i) pipes.push_back(descriptors::pipe());
    for (int round = 0; round < 20; ++round) {
      std::vector<weft::fiber<std::string>> waiters;
      for (auto& each : pipes) waiters.push_back(readable(each[0]));
      until_parked(many);
      for (std::size_t i = 0; i < many; i += 2) put(pipes[i][1]);
      for (std::size_t i = 0; i < many; i += 2) EXPECT_EQ(waiters[i].join(), "done");
      for (std::size_t i = 1; i < many; i += 2) EXPECT_FALSE(waiters[i].done()) << i;
      for (std::size_t i = 1; i < many; i += 2) put(pipes[i][1]);
      for (std::size_t i = 1; i < many; i += 2) EXPECT_EQ(waiters[i].join(), "done");
      for (auto& each : pipes) EXPECT_EQ(take(each[0]), 'x');
    }
  });
}

// ---- deadlines and cancellation

TEST_P(FdWait, ATimeoutHarmsNoLaterWait) {
  inside([] {
    auto pair = descriptors::socket_pair();
    for (int round = 0; round < 50; ++round) {
      EXPECT_THROW(weft::with_timeout(100us, [&] { weft::wait_readable(pair[0]); }),
                   weft::timed_out);
      if (round % 2 == 0) put(pair[1]);  // while nobody waits
      auto reader = readable(pair[0]);
      if (round % 2 != 0) {
        until_parked(1);
        put(pair[1]);
      }
      EXPECT_EQ(reader.join(), "done");
      EXPECT_EQ(take(pair[0]), 'x');
    }
  });
}

TEST_P(FdWait, DeliversCancellationEvenIfReady) {
  inside([] {
    auto pair = descriptors::socket_pair();
    EXPECT_THROW(weft::with_timeout(0s, [&] { weft::wait_writable(pair[0]); }), weft::timed_out);
  });
}

// A waiter is cancelled while its descriptor becomes ready: it ends one way or the other, and what
// made it ready is still there.
void race_cancellation_with_readiness(int rounds, unsigned seed) {
  auto pair = descriptors::socket_pair();
  fill(pair[0]);
  std::minstd_rand random(seed);
  for (int round = 0; round < rounds; ++round) {
    auto other = writable(pair[0]);  // which the reader's registration has to care for
    auto reader = readable(pair[0]);
    for (auto yields = random() % 3; yields > 0; --yields) weft::yield();
    const bool ready_first = random() % 2 == 0;
    if (ready_first) put(pair[1]);
    reader.cancel();
    if (!ready_first) put(pair[1]);
    const std::string ended = outcome(reader);
    ASSERT_TRUE(ended == "done" || ended == "cancelled") << ended;
    weft::wait_readable(pair[0]);
    ASSERT_EQ(take(pair[0]), 'x');
    ASSERT_FALSE(other.done());
    other.cancel();
    ASSERT_EQ(outcome(other), "cancelled");
  }
}

TEST_P(FdWait, CancellationMeetsReadiness) {
  inside([] {
    weft::group racers;
    for (unsigned seed = 1; seed <= 8; ++seed)
      racers.go([seed] { race_cancellation_with_readiness(5000 / weft_test::slowness, seed); });
    racers.wait();
  });
}

// ---- the program closes what it owns

TEST_P(FdWait, AClosedDescriptorIsWaitedForUntilTheWaitIsCancelled) {
  inside([] {
    auto pipe = descriptors::pipe();
    auto waiter = readable(pipe[0]);
    until_parked(1);
    pipe.close(0);
    pipe.close(1);
    waiter.cancel();
    EXPECT_EQ(outcome(waiter), "cancelled");
  });
}

TEST_P(FdWait, WhoWaitsForAClosedDescriptorIsToldWhenItsNumberIsWaitedForAgain) {
  inside([one_loop = GetParam() == 1] {
    for (const bool kept_open : {false, true}) {
      auto pipe = descriptors::pipe();
      const int number = pipe[0];
      auto lost = readable(number);
      until_parked(1);
      const int copy = kept_open ? ::dup(number) : -1;
      pipe.close(0);
      auto second = descriptors::pipe();
      ASSERT_EQ(second[0], number);

      auto reader = readable(second[0]);
      const std::string told =
          "cannot wait for descriptor " + std::to_string(number) + ": Bad file descriptor";
      if (one_loop) {
        EXPECT_EQ(lost.join(), told);
        // An event of the file that was closed is nobody's.
        if (kept_open) put(pipe[1]);
        weft::sleep(100us);
        EXPECT_FALSE(reader.done());
      }
      put(second[1]);
      EXPECT_EQ(reader.join(), "done");
      EXPECT_EQ(take(second[0]), 'x');
      if (!one_loop) {  // it may wait with another worker's loop, which cannot know
        lost.cancel();
        const std::string ended = outcome(lost);
        EXPECT_TRUE(ended == told || ended == "cancelled" || ended == "done") << ended;
      }
      if (kept_open) ::close(copy);
    }
  });
}

// Libraries close and open while they try one address after the other.
TEST_P(FdWait, NumbersAreReusedBetweenWaits) {
  inside([] {
    weft::group users;
    for (int user = 0; user < 8; ++user) {
      users.go([] {
        for (int round = 0; round < 1000 / weft_test::slowness; ++round) {
          auto pair = descriptors::socket_pair();
          auto reader = readable(pair[0]);
          if (round % 3 == 0) weft::yield();
          if (round % 5 == 0) reader.cancel();
          put(pair[1]);
          const std::string ended = outcome(reader);
          ASSERT_TRUE(ended == "done" || (round % 5 == 0 && ended == "cancelled")) << ended;
          weft::wait_readable(pair[0]);
          ASSERT_EQ(take(pair[0]), 'x');
        }
      });
    }
    users.wait();
  });
}

// ---- a library that names descriptors and directions, and changes its mind: as libcurl's "multi"

// Two ends of a conversation each: in turn it writes a byte and waits for the answer.
class toy_multi {
 public:
  enum wish { nothing, to_read, to_write };

  toy_multi(std::size_t conversations, int turns) : turns_(turns) {
    for (std::size_t i = 0; i < conversations; ++i) {
      pairs_.push_back(descriptors::socket_pair());
      for (const int end : {0, 1}) {
        set_nonblocking(pairs_.back()[end]);
        wishes_[pairs_.back()[end]] = {end == 0 ? to_write : to_read, 0};
      }
    }
  }

  std::vector<std::pair<int, wish>> interest() const {
    std::vector<std::pair<int, wish>> all;
    for (const auto& [fd, state] : wishes_)
      if (state.first != nothing) all.emplace_back(fd, state.first);
    return all;
  }

  void act(int fd) {
    auto& [what, turns] = wishes_[fd];
    if (what == to_read) {
      if (take(fd) != 'x') return;
      what = ++turns < turns_ ? to_write : nothing;
      if (what == nothing) put(fd);  // so that the other can end, too
    } else if (what == to_write) {
      put(fd);
      what = to_read;
    }
  }

 private:
  int turns_;
  std::vector<descriptors> pairs_;
  std::map<int, std::pair<wish, int>> wishes_;
};

TEST_P(FdWait, ASetOfDescriptorsMayChangeAfterEachEvent) {
  inside([] {
    toy_multi library(10, 50 / (weft_test::slowness > 1 ? 5 : 1));
    for (auto set = library.interest(); !set.empty(); set = library.interest()) {
      const auto wait = [](const std::pair<int, toy_multi::wish>& of) {
        of.second == toy_multi::to_read ? weft::wait_readable(of.first)
                                        : weft::wait_writable(of.first);
        return of.first;
      };
      std::vector<weft::fiber<int>> waits;
      weft::channel<int> ready(set.size());
      {
        weft::group all;
        for (const auto& each : set) all.go([&] { ready.send(wait(each)); });
        library.act(*ready.recv());
        all.cancel();
      }
      while (const auto more = ready.try_recv()) library.act(*more);
    }
  });
}

}  // namespace
