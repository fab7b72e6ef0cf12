#include <weft/barrier.hpp>

#include <stdexcept>
#include <utility>
#include <weft/event.hpp>

#include "support.hpp"

namespace {

class Barrier : public weft_test::fiber_fixture {};
FIBER_SUITE(Barrier);

TEST_P(Barrier, NobodyGoesOnBeforeAllHaveArrived) {
  inside([] {
    constexpr int parties = 8;
    const int phases = 2'000 / weft_test::slowness;
    int completed = 0;  // written by the completion function alone
    weft::barrier gate(parties, [&]() noexcept { ++completed; });
    std::atomic<int> arrived{0};
    weft::group tasks;
    for (int i = 0; i < parties; ++i)
      tasks.go([&] {
        for (int phase = 1; phase <= phases; ++phase) {
          ++arrived;
          gate.arrive_and_wait();
          // The next phase needs this party too, so it cannot have been completed.
          EXPECT_EQ(completed, phase);
          EXPECT_GE(arrived, phase * parties);
        }
      });
    tasks.wait();
    EXPECT_EQ(completed, phases);
  });
}

TEST_P(Barrier, ATokenWaitsForItsPhaseAlone) {
  inside([] {
    weft::barrier<> gate(2);
    auto first = gate.arrive();
    auto other = gate.arrive();
    gate.wait(std::move(first));  // over already
    auto second = gate.arrive();
    auto waiter =
        weft::go([&gate, token = std::move(second)]() mutable { gate.wait(std::move(token)); });
    weft_test::until_parked(1);
    (void)gate.arrive();
    waiter.join();
    gate.wait(std::move(other));  // of long ago
    auto token = gate.arrive(2);
    std::as_const(gate).wait(std::move(token));  // const, as with std
  });
}

TEST_P(Barrier, WhoDropsOutIsNotExpectedAgain) {
  inside([] {
    weft::barrier<> gate(3);
    auto waiter = weft::go([&] {
      gate.arrive_and_wait();
      gate.arrive_and_wait();
    });
    gate.arrive_and_drop();
    gate.arrive_and_wait();
    gate.arrive_and_wait();
    waiter.join();
  });
}

TEST_P(Barrier, CountsNoMoreThanAreMissing) {
  inside([] {
    EXPECT_THROW(weft::barrier<>(-1), std::logic_error);
    weft::barrier<> gate(2);
    EXPECT_THROW((void)gate.arrive(3), std::logic_error);
    EXPECT_THROW((void)gate.arrive(0), std::logic_error);
    (void)gate.arrive();
    EXPECT_THROW((void)gate.arrive(2), std::logic_error);
    (void)gate.arrive();
  });
}

TEST_P(Barrier, WhoIsCancelledHasArrived) {
  inside([] {
    weft::barrier<> gate(2);
    auto waiter = weft::go([&] { gate.arrive_and_wait(); });
    weft_test::until_parked(1);
    waiter.cancel();
    EXPECT_THROW(waiter.join(), weft::fiber_cancelled);
    gate.arrive_and_wait();
    (void)gate.arrive(2);
  });
}

TEST_P(Barrier, TheCompletionFunctionMayPark) {
  inside([] {
    std::atomic<int> completed{0};
    weft::barrier gate(2, [&]() noexcept {
      weft::yield();
      ++completed;
    });
    auto other = weft::go([&] {
      gate.arrive_and_wait();
      EXPECT_EQ(completed, 1);
    });
    gate.arrive_and_wait();
    EXPECT_EQ(completed, 1);
    other.join();
  });
}

TEST_P(Barrier, TheCompletionFunctionIsNotInterrupted) {
  inside([] {
    int completed = 0;
    weft::barrier gate(1, [&]() noexcept {
      weft::yield();
      ++completed;
    });
    auto last = weft::go([&] {
      EXPECT_THROW(weft::event().wait(), weft::cancelled);
      gate.arrive_and_wait();
      EXPECT_THROW(weft::yield(), weft::cancelled);
    });
    weft_test::until_parked(1);
    last.cancel();
    last.join();
    EXPECT_EQ(completed, 1);
  });
}

TEST_P(Barrier, IsSharedByRuntimesAndThreads) {
  const int phases = 200 / weft_test::slowness;
  weft::barrier<> gate(12);
  std::atomic<int> arrived{0};
  weft_test::crowd(how(), 4, [&](int) {
    for (int phase = 1; phase <= phases; ++phase) {
      ++arrived;
      gate.arrive_and_wait();
      EXPECT_GE(arrived, phase * 12);
    }
  });
  EXPECT_EQ(arrived, phases * 12);
}

TEST_P(Barrier, MayBeDestroyedBehindTheWait) {
  inside([] {
    weft_test::destroy_at_once<weft::barrier<>>(
        4'000 / weft_test::slowness, [] { return std::make_unique<weft::barrier<>>(2); },
        [](weft::barrier<>& b) { (void)b.arrive(); },
        [](weft::barrier<>& b) { b.arrive_and_wait(); });
  });
}

}  // namespace
