// The end of a scheduler, and threads that are not its own.
#include <gtest/gtest.h>
#include <weft/go.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "fiber/park.hpp"
#include "sched/scheduler.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::detail;

// Stays in wake() for a while after the worker is awake.
class slow_to_leave final : public poller {
 public:
  ~slow_to_leave() override { EXPECT_EQ(inside_, 0) << "destroyed under the hands of a waker"; }

  void poll(nanos until) noexcept override {
    std::unique_lock<std::mutex> hold(lock_);
    const std::chrono::steady_clock::time_point when{std::chrono::nanoseconds(until)};
    auto woken = [this] { return woken_; };
    if (until == never)
      woke_.wait(hold, woken);
    else
      woke_.wait_until(hold, when, woken);
    woken_ = false;
  }

  void wake() noexcept override {
    ++inside_;
    const bool stay = slow;
    {
      std::lock_guard<std::mutex> hold(lock_);
      woken_ = true;
      woke_.notify_one();
    }
    if (stay) std::this_thread::sleep_for(50ms);
    --inside_;
  }

  bool poll_for_owner() noexcept override { return false; }
  nanos now() noexcept override { return steady_now(); }

  static inline std::atomic<bool> slow{false};

 private:
  std::mutex lock_;
  std::condition_variable woke_;
  bool woken_ = false;
  std::atomic<int> inside_{0};
};

TEST(Shutdown, WaitsForAThreadThatIsStillWakingAWorker) {
  scheduler_config config;
  config.use_calling_thread = false;
  config.monitor = false;
  config.make_poller = [] { return std::make_unique<slow_to_leave>(); };
  auto all = std::make_unique<scheduler>(std::move(config));
  all->start();
  std::atomic<bool> running{false};
  auto fiber = adopt_task<void>([&] {
    control* task = make_task<void>(all.get(), {}, [&] {
      parking wait("test");
      running = true;
      wait.park();
    });
    start_task(task);
    return task;
  }());
  while (!running || !all->idle().anyone_asleep()) std::this_thread::yield();
  slow_to_leave::slow = true;
  std::thread waker([&] { fiber.cancel(); });
  fiber.wait();
  slow_to_leave::slow = false;
  all->begin_stop();
  all->join();
  all.reset();
  waker.join();
}

}  // namespace
