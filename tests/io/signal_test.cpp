// Signals: nobody who waits misses one, and nothing is left behind.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <weft/signal.hpp>

#include <array>
#include <atomic>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "context/sanitizer.hpp"
#include "io/socket_support.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::failure_of;
using weft_test::outcome;
using Signal = weft_test::fiber_fixture;
FIBER_SUITE(Signal);

// TSan keeps a signal that interrupts a fiber until that fiber makes a call that it knows; if the
// fiber parks instead, perhaps to wait for this very signal, it never comes. So there each thread
// interrupts itself, which TSan lets pass.
#ifdef WEFT_TSAN
constexpr bool signals_may_stick = true;
void send(int number) { ASSERT_EQ(::raise(number), 0); }
#else
constexpr bool signals_may_stick = false;
void send(int number) { ASSERT_EQ(::kill(::getpid(), number), 0); }
#endif

// Sends it and waits until it has been delivered, to whichever thread: until then it is not there.
void send_and_wait(int number) {
  weft::signal_listener heard{number};
  send(number);
  heard.next();
}

using handler = void (*)(int);
handler disposition_of(int number) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  return now.sa_handler;
}

TEST_P(Signal, WaitReturnsTheOneThatCame) {
  inside([] {
    auto waiter = weft::go([] { return weft::wait_signal({SIGUSR1, SIGUSR2}); });
    weft_test::until_parked(1);
    send(SIGUSR2);
    EXPECT_EQ(waiter.join(), SIGUSR2);
  });
}

TEST_P(Signal, AnyContainerNamesSignals) {
  inside([] {
    const std::vector<int> vector{SIGUSR1};
    const std::array<int, 1> array{SIGUSR1};
    const std::set<int> set{SIGUSR1};
    auto a = weft::go([&] { return weft::wait_signal(vector); });
    auto b = weft::go([&] { return weft::wait_signal(array); });
    auto c = weft::go([&] { return weft::wait_signal(set); });
    weft::signal_listener d(vector);
    weft_test::until_parked(3);
    send(SIGUSR1);
    EXPECT_EQ(a.join() + b.join() + c.join() + d.next(), 4 * SIGUSR1);
  });
}

TEST_P(Signal, AllWhoWaitGetIt) {
  inside([] {
    std::vector<weft::fiber<int>> waiters;
    for (int i = 0; i < 50; ++i)
      waiters.push_back(weft::go([] { return weft::wait_signal({SIGUSR1}); }));
    auto other = weft::go([] { return weft::wait_signal({SIGUSR2}); });
    weft_test::until_parked(51);
    send(SIGUSR1);
    for (auto& each : waiters) EXPECT_EQ(each.join(), SIGUSR1);
    EXPECT_FALSE(other.done());
    send(SIGUSR2);
    EXPECT_EQ(other.join(), SIGUSR2);
  });
}

TEST_P(Signal, WhatComesBetweenTwoWaitsIsRememberedOnce) {
  inside([] {
    auto first = weft::go([] { return weft::wait_signal({SIGUSR1}); });
    weft_test::until_parked(1);
    send(SIGUSR1);
    first.join();
    send_and_wait(SIGUSR1);
    send_and_wait(SIGUSR1);
    EXPECT_EQ(weft::wait_signal({SIGUSR1}), SIGUSR1);
    EXPECT_THROW(weft::with_timeout(1ms, [] { weft::wait_signal({SIGUSR1}); }), weft::timed_out);
  });
}

TEST_P(Signal, WhatCameBeforeTheFirstWaitIsNotRemembered) {
  inside([] {
    send_and_wait(SIGUSR1);
    EXPECT_THROW(weft::with_timeout(1ms, [] { weft::wait_signal({SIGUSR1}); }), weft::timed_out);
  });
}

TEST_P(Signal, OfSeveralTheFirstNamedComesFirst) {
  inside([] {
    weft::signal_listener heard{SIGUSR2, SIGHUP, SIGUSR1};
    send_and_wait(SIGUSR1);
    send_and_wait(SIGHUP);
    send_and_wait(SIGUSR2);
    EXPECT_EQ(heard.next(), SIGUSR2);
    EXPECT_EQ(heard.next(), SIGHUP);
    EXPECT_EQ(heard.next(), SIGUSR1);
  });
}

TEST_P(Signal, ListenersHearTheSameSignalEachForItself) {
  inside([] {
    weft::signal_listener one{SIGUSR1};
    weft::signal_listener two{SIGUSR1};
    send_and_wait(SIGUSR1);
    weft::signal_listener late{SIGUSR1};
    EXPECT_EQ(one.next(), SIGUSR1);
    EXPECT_EQ(two.next(), SIGUSR1);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { late.next(); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(1ms, [&] { one.next(); }), weft::timed_out);
  });
}

TEST_P(Signal, AListenerMadeBeforeTheRuntimeHearsWhatCameBeforeIt) {
  weft::signal_listener early{SIGUSR1};
  weft::signal_listener heard = std::move(early);
  raise(SIGUSR1);
  inside([&] { EXPECT_EQ(heard.next(), SIGUSR1); });
  EXPECT_NE(disposition_of(SIGUSR1), SIG_DFL);
}

TEST_P(Signal, EveryOneSentAfterTheLastWasTakenArrives) {
  inside([] {
    constexpr int rounds = 2000 / weft_test::slowness;
    std::atomic<int> taken{0};
    weft::signal_listener heard{SIGUSR1};
    std::thread sender([&] {
      for (int i = 0; i < rounds; ++i) {
        send(SIGUSR1);
        while (taken.load() == i) std::this_thread::yield();
      }
    });
    for (int i = 0; i < rounds; ++i) {
      heard.next();
      ++taken;
    }
    sender.join();
  });
}

TEST_P(Signal, ThreadsOfTheirOwnMayRaiseIt) {
  inside([] {
    auto first = weft::go([] { return weft::wait_signal({SIGUSR1}); });
    weft_test::until_parked(1);
    for (int i = 0; i < 20; ++i) {
      std::vector<std::thread> threads;
      for (int j = 0; j < 3; ++j)
        threads.emplace_back([] { pthread_kill(pthread_self(), SIGUSR1); });
      for (auto& each : threads) each.join();
      if (i == 0) {
        EXPECT_EQ(first.join(), SIGUSR1);  // two of the three may have come later
      } else {
        EXPECT_EQ(weft::wait_signal({SIGUSR1}), SIGUSR1);
      }
    }
  });
}

TEST_P(Signal, AnotherProcessMaySendIt) {
  inside([] {
    auto waiter = weft::go([] { return weft::wait_signal({SIGHUP, SIGTERM}); });
    weft_test::until_parked(1);
    do weft::run_process({"sh", "-c", "kill -TERM " + std::to_string(::getpid())});
    while (signals_may_stick && !waiter.done());
    EXPECT_EQ(waiter.join(), SIGTERM);
  });
}

TEST_P(Signal, TwoRuntimesHearIt) {
  weft::runtime one(how());
  weft::runtime two(how());
  std::atomic<int> ready{0};
  auto body = [&ready] {
    weft::signal_listener heard{SIGUSR1};
    ++ready;
    return heard.next();
  };
  auto a = one.go(body);
  auto b = two.go(body);
  while (ready < 2) std::this_thread::yield();
  send(SIGUSR1);
  EXPECT_EQ(a.join(), SIGUSR1);
  EXPECT_EQ(b.join(), SIGUSR1);
}

std::atomic<int> calls_of_ours{0};
void count_call(int) { ++calls_of_ours; }
void count_informed_call(int, siginfo_t* info, void*) {
  if (info->si_pid == ::getpid()) ++calls_of_ours;
}

TEST_P(Signal, AHandlerOfTheProgramIsCalledAndComesBack) {
  for (const bool informed : {false, true}) {
    calls_of_ours = 0;
    struct sigaction own {};
    if (informed) {
      own.sa_sigaction = count_informed_call;
      own.sa_flags = SA_SIGINFO;
    } else {
      own.sa_handler = count_call;
    }
    struct sigaction before {};
    sigaction(SIGUSR1, &own, &before);
    inside([] {
      auto waiter = weft::go([] { return weft::wait_signal({SIGUSR1}); });
      weft_test::until_parked(1);
      send(SIGUSR1);
      waiter.join();
      while (calls_of_ours == 0) weft::yield();  // it is called after the waiter was told
    });
    EXPECT_EQ(calls_of_ours, 1);
    struct sigaction after {};
    sigaction(SIGUSR1, &before, &after);
    EXPECT_EQ(after.sa_handler, own.sa_handler);
  }
}

TEST_P(Signal, DefaultsComeBackWhenTheRuntimeEnds) {
  const handler before_hup = signal(SIGHUP, SIG_IGN);
  inside([] {
    auto waiter = weft::go([] { return weft::wait_signal({SIGUSR1, SIGHUP}); });
    weft_test::until_parked(1);
    EXPECT_NE(disposition_of(SIGUSR1), SIG_DFL);
    EXPECT_NE(disposition_of(SIGHUP), SIG_IGN);
    send(SIGHUP);
    EXPECT_EQ(waiter.join(), SIGHUP);
    EXPECT_NE(disposition_of(SIGUSR1), SIG_DFL);
  });
  EXPECT_EQ(disposition_of(SIGUSR1), SIG_DFL);
  EXPECT_EQ(disposition_of(SIGHUP), SIG_IGN);
  signal(SIGHUP, before_hup);
}

TEST_P(Signal, DefaultsComeBackWithTheLastListener) {
  inside([] {
    std::optional<weft::signal_listener> one(std::in_place, std::initializer_list<int>{SIGUSR1});
    std::optional<weft::signal_listener> two(std::in_place, std::initializer_list<int>{SIGUSR1});
    one.reset();
    EXPECT_NE(disposition_of(SIGUSR1), SIG_DFL);
    two.reset();
    EXPECT_EQ(disposition_of(SIGUSR1), SIG_DFL);
  });
}

TEST_P(Signal, AHandlerInstalledLaterStays) {
  inside([] {
    weft::signal_listener heard{SIGUSR1};
    signal(SIGUSR1, count_call);
  });
  EXPECT_EQ(disposition_of(SIGUSR1), count_call);
  signal(SIGUSR1, SIG_DFL);
}

struct sigaction under_the_chain;

void pass_on(int number, siginfo_t* info, void* where) {
  under_the_chain.sa_sigaction(number, info, where);
}

sigjmp_buf before_signal;

void jump_out(int) { siglongjmp(before_signal, 1); }

void raise_and_return() {
  if (sigsetjmp(before_signal, 1) == 0) raise(SIGUSR1);
}

TEST_P(Signal, AHandlerThatJumpsOutDeafensNobody) {
  inside([] {
    signal(SIGUSR1, jump_out);
    weft::signal_listener heard{SIGUSR1};
    for (int i = 0; i < 3; ++i) {
      raise_and_return();
      EXPECT_EQ(heard.next(), SIGUSR1);
    }
  });
  signal(SIGUSR1, SIG_DFL);
}

void pass_on_nothing(int number) { under_the_chain.sa_sigaction(number, nullptr, nullptr); }

TEST_P(Signal, AHandlerThatPassesOnTheNumberAloneIsHeard) {
  inside([] {
    weft::signal_listener heard{SIGUSR1};
    sigaction(SIGUSR1, nullptr, &under_the_chain);
    signal(SIGUSR1, pass_on_nothing);
    for (int i = 0; i < 3; ++i) {
      raise(SIGUSR1);
      EXPECT_EQ(heard.next(), SIGUSR1);
    }
  });
  signal(SIGUSR1, SIG_DFL);
}

// What another library installed over ours passes on to it, and ours to what it found.
TEST_P(Signal, AHandlerThatPassesOnEndsTheChain) {
  inside([] {
    std::optional<weft::signal_listener> one(std::in_place, std::initializer_list<int>{SIGUSR1});
    struct sigaction over {};
    over.sa_sigaction = pass_on;
    over.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &over, &under_the_chain);
    one.reset();
    weft::signal_listener two{SIGUSR1};
    raise(SIGUSR1);
    EXPECT_EQ(two.next(), SIGUSR1);
    raise(SIGUSR1);
    EXPECT_EQ(two.next(), SIGUSR1);
  });
  signal(SIGUSR1, SIG_DFL);
}

TEST_P(Signal, CancellationLosesNone) {
  inside([] {
    auto first = weft::go([] { return weft::wait_signal({SIGUSR1}); });
    weft_test::until_parked(1);
    send(SIGUSR1);
    first.join();
    for (int i = 0; i < 2000 / weft_test::slowness; ++i) {
      auto waiter = weft::go([] { return outcome([] { weft::wait_signal({SIGUSR1}); }); });
      auto canceller = weft::go([&waiter] { waiter.cancel(); });
      if (i % 2 == 0) weft::yield();
      raise(SIGUSR1);
      canceller.join();
      if (outcome(waiter) == "cancelled") {
        EXPECT_EQ(weft::wait_signal({SIGUSR1}), SIGUSR1);
      }
      weft::signal_listener none{SIGUSR1};
    }
    EXPECT_THROW(weft::with_timeout(1ms, [] { weft::wait_signal({SIGUSR1}); }), weft::timed_out);
  });
}

TEST_P(Signal, ASecondWaiterInOneListenerIsRefused) {
  inside([] {
    weft::signal_listener heard{SIGUSR1};
    auto waiter = weft::go([&] { return heard.next(); });
    weft_test::until_parked(1);
    EXPECT_EQ(failure_of([&] { heard.next(); }), std::errc::device_or_resource_busy);
    send(SIGUSR1);
    EXPECT_EQ(waiter.join(), SIGUSR1);
    weft::signal_listener moved = std::move(heard);
    EXPECT_EQ(failure_of([&] { heard.next(); }), std::errc::bad_file_descriptor);  // NOLINT
  });
}

TEST_P(Signal, WhatCannotBeWaitedForIsRefused) {
  inside([] {
    for (const int number :
         {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 32, 33, 65, 1000000000}) {
      EXPECT_THROW(weft::wait_signal({number}), std::invalid_argument) << number;
      EXPECT_THROW(weft::wait_signal({SIGUSR1, number}), std::invalid_argument) << number;
      EXPECT_THROW((weft::signal_listener{SIGUSR1, number}), std::invalid_argument) << number;
    }
    EXPECT_THROW(weft::wait_signal({}), std::invalid_argument);
    EXPECT_THROW(weft::wait_signal(std::vector<int>()), std::invalid_argument);
    EXPECT_EQ(disposition_of(SIGUSR1), SIG_DFL);
  });
  EXPECT_THROW(weft::wait_signal({SIGUSR1}), std::logic_error);
  weft::signal_listener heard{SIGUSR1};
  EXPECT_THROW(heard.next(), std::logic_error);
}

TEST_P(Signal, ALackOfDescriptorsIsAnError) {
  inside([] {
    weft::sleep(1ms);
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    EXPECT_EQ(failure_of([] { weft::wait_signal({SIGUSR1}); }), std::errc::too_many_files_open);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(disposition_of(SIGUSR1), SIG_DFL);
  });
}

TEST_P(Signal, SubscribersComeAndGoUnderFire) {
  inside([] {
    weft::signal_listener always{SIGUSR1};
    std::atomic<bool> over{false};
    std::vector<std::thread> senders;
    for (int i = 0; i < 2; ++i)
      senders.emplace_back([&over] {
        while (!over) send(SIGUSR1);
      });
    weft::group all;
    for (int i = 0; i < 8; ++i)
      all.go([i] {
        for (int j = 0; j < 500 / weft_test::slowness; ++j) {
          if (i % 2 == 0) {
            weft::signal_listener heard{SIGUSR1, SIGUSR2};
            EXPECT_EQ(heard.next(), SIGUSR1);
          } else {
            EXPECT_EQ(weft::wait_signal({SIGUSR2, SIGUSR1}), SIGUSR1);
          }
        }
      });
    all.wait();
    over = true;
    for (auto& each : senders) each.join();
  });
}

// F3 of the hazards: ten thousand signals, on stacks that would not hold a handler.
TEST_P(Signal, AFloodDoesNoHarmToSmallStacks) {
  weft::options options = how();
  if (weft_test::slowness == 1) options.stack_bytes = 16 * 1024;
  weft::run(options, [] {
    weft::signal_listener flood{SIGUSR1};
    weft::signal_listener the_end{SIGTERM};  // before any is sent
    weft::channel<int> there(4);
    weft::group load;
    std::int64_t sum = 0;
    constexpr int items = 100000 / weft_test::slowness;
    load.go([&] {
      for (int i = 0; i < items; ++i) there.send(i);
      there.close();
    });
    load.go([&] {
      while (auto item = there.recv()) sum += *item;
    });
    auto drain = load.go([&] { return the_end.next(); });
    auto hear = load.go([&] {
      for (;;) flood.next();
    });
    std::thread sender([] {
      for (int i = 0; i < 10000; ++i) send(SIGUSR1);
      send(SIGTERM);
    });
    EXPECT_EQ(drain.join(), SIGTERM);
    sender.join();
    hear.cancel();
    load.wait();
    EXPECT_EQ(sum, std::int64_t{items} * (items - 1) / 2);
  });
}

}  // namespace
