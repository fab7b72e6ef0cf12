// Objects that their waiter destroys as soon as its wait returns: the one that wakes it must not
// touch them any more. Meant for AddressSanitizer.
#include <weft/condition_variable.hpp>
#include <weft/event.hpp>
#include <weft/latch.hpp>
#include <weft/mutex.hpp>
#include <weft/semaphore.hpp>
#include <weft/wait_group.hpp>

#include <mutex>

#include "sync/support.hpp"

namespace {

using weft_test::destroy_at_once;
using weft_test::tiny_pause;
using hold_lock = std::unique_lock<weft::mutex>;

const int rounds = 100'000 / weft_test::slowness;

// The races are between a fiber and a thread; more workers only make them rarer.
class SyncDestroyed : public weft_test::fiber_fixture {};
INSTANTIATE_TEST_SUITE_P(Workers, SyncDestroyed, testing::Values(2u), weft_test::workers_name);

TEST_P(SyncDestroyed, AnEventBehindItsWait) {
  inside([] {
    destroy_at_once<weft::event>(
        rounds, [] { return std::make_unique<weft::event>(); }, [](weft::event& e) { e.set(); },
        [](weft::event& e) { e.wait(); });
  });
}

TEST_P(SyncDestroyed, ALatchBehindItsWait) {
  inside([] {
    destroy_at_once<weft::latch>(
        rounds, [] { return std::make_unique<weft::latch>(1); },
        [](weft::latch& l) { l.count_down(); }, [](weft::latch& l) { l.wait(); });
  });
}

TEST_P(SyncDestroyed, ASemaphoreBehindItsWait) {
  inside([] {
    destroy_at_once<weft::binary_semaphore>(
        rounds, [] { return std::make_unique<weft::binary_semaphore>(0); },
        [](weft::binary_semaphore& s) { s.release(); },
        [](weft::binary_semaphore& s) { s.acquire(); });
  });
}

TEST_P(SyncDestroyed, AWaitGroupBehindItsWait) {
  inside([] {
    destroy_at_once<weft::wait_group>(
        rounds,
        [] {
          auto made = std::make_unique<weft::wait_group>();
          made->add(1);
          return made;
        },
        [](weft::wait_group& g) { g.done(); }, [](weft::wait_group& g) { g.wait(); });
  });
}

struct place {
  weft::mutex lock;
  weft::condition_variable changed;
  std::atomic<bool> ready{false};
};

TEST_P(SyncDestroyed, AMutexBehindItsUnlock) {
  inside([] {
    destroy_at_once<place>(
        rounds, [] { return std::make_unique<place>(); },
        [](place& p) {
          const hold_lock hold(p.lock);
          p.ready = true;
          tiny_pause(50);
        },
        [](place& p) {
          while (!p.ready) std::this_thread::yield();
          const hold_lock hold(p.lock);
        });
  });
}

TEST_P(SyncDestroyed, AConditionVariableBehindItsWait) {
  inside([] {
    destroy_at_once<place>(
        rounds, [] { return std::make_unique<place>(); },
        [](place& p) {
          const hold_lock hold(p.lock);
          p.ready = true;
          p.changed.notify_one();
        },
        [](place& p) {
          hold_lock hold(p.lock);
          p.changed.wait(hold, [&] { return p.ready.load(); });
        });
  });
}

}  // namespace
