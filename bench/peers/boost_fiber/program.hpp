// How the program uses Boost.Fiber: threads, stacks and fibers.
#pragma once
#include <atomic>
#include <boost/fiber/all.hpp>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "../common/program.hpp"

namespace fibers = boost::fibers;

// Stacks are pooled where one thread has them all: the pool is not made for more.
inline std::unique_ptr<fibers::pooled_fixedsize_stack> stack_pool;

// launch::dispatch runs the new fiber at once, launch::post makes it ready.
template <class F>
fibers::fiber spawn(fibers::launch when, F&& body) {
  if (stack_pool) {
    return fibers::fiber(when, std::allocator_arg, *stack_pool, std::forward<F>(body));
  }
  return fibers::fiber(when, std::allocator_arg, fibers::fixedsize_stack(), std::forward<F>(body));
}

// Runs body(0) ... body(n - 1), each in a fiber, and waits for them.
template <class F>
void parallel(long n, const F& body) {
  std::vector<fibers::fiber> running;
  running.reserve(static_cast<std::size_t>(n));
  for (long i = 0; i < n; ++i) {
    running.push_back(spawn(fibers::launch::post, [&body, i] { body(i); }));
  }
  for (auto& each : running) each.join();
}

// Runs body in a fiber: on one thread with round_robin, the default, on more with work_stealing.
template <class F>
void with_workers(unsigned workers, const F& body) {
  if (workers == 1) {
    stack_pool = std::make_unique<fibers::pooled_fixedsize_stack>();
    spawn(fibers::launch::post, body).join();
    return;
  }
  fibers::mutex lock;
  fibers::condition_variable changed;
  bool done = false;
  std::atomic<unsigned> joined{0};
  const auto join_the_others = [&] {  // nobody may steal before all are there
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers);
    ++joined;
    while (joined < workers) std::this_thread::yield();
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < workers; ++i) {
    threads.emplace_back([&] {
      join_the_others();
      std::unique_lock guard(lock);
      changed.wait(guard, [&] { return done; });
    });
  }
  join_the_others();
  spawn(fibers::launch::post, body).join();
  {
    const std::lock_guard guard(lock);
    done = true;
  }
  changed.notify_all();
  for (auto& each : threads) each.join();
}
