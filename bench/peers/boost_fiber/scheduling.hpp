// Workloads of the scheduler alone: yield, spawn_join, idle, timers, fib.
#pragma once
#include <chrono>
#include <cstdint>

#include "program.hpp"

namespace workloads {

inline int yield(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 2);
  const long m = given.number("m", 1'000'000);
  const bool floating = given.number("float", 0) != 0;
  const peer::stopwatch watch;
  parallel(n, [m, floating](long) {
    double number = 1;
    for (long i = 0; i < m; ++i) {
      if (floating) number = peer::inexact(number);
      boost::this_fiber::yield();
    }
  });
  print("ns_per_switch", watch.ns_each(n * m), "ns");
  return peer::ok;
}

inline int spawn_join(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  if (given.text("mode") != "all") {
    const peer::stopwatch watch;
    for (long i = 0; i < n; ++i) spawn(fibers::launch::post, [] {}).join();
    print("ns_per_fiber", watch.ns_each(n), "ns");
    return peer::ok;
  }
  std::vector<double> rounds;
  for (int round = 0; round < 4; ++round) {
    const peer::stopwatch watch;
    parallel(n, [](long) {});
    rounds.push_back(watch.ns_each(n));
  }
  print("ns_per_fiber_cold", rounds[0], "ns");
  print("ns_per_fiber_warm", *std::min_element(rounds.begin() + 1, rounds.end()), "ns");
  return peer::ok;
}

inline int idle(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100'000);
  fibers::mutex lock;
  fibers::condition_variable gate;
  long parked = 0;
  const double before = peer::resident_bytes();
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    spawn(fibers::launch::post, [&] {
      std::unique_lock guard(lock);
      ++parked;
      gate.wait(guard);
    }).detach();
  }
  while (parked < n) boost::this_fiber::yield();
  print("spawn_ns_per_fiber", watch.ns_each(n), "ns");
  print("bytes_per_fiber", (peer::resident_bytes() - before) / static_cast<double>(n), "B");
  ::_exit(peer::ok);  // the end is not part of the measurement
}

inline int timers(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100'000);
  std::vector<std::int64_t> late(static_cast<std::size_t>(n));
  const double cpu = peer::cpu_seconds();
  const peer::stopwatch watch;
  parallel(n, [&late](long i) {
    const auto index = static_cast<std::uint64_t>(i);
    const std::chrono::milliseconds wanted(peer::mix(index) % 1000 + 1);
    const peer::stopwatch own;
    boost::this_fiber::sleep_for(wanted);
    late[index] = own.nanoseconds() - std::chrono::nanoseconds(wanted).count();
  });
  print("wall", watch.milliseconds(), "ms");
  print("cpu", peer::cpu_seconds() - cpu, "s");
  print.lateness(std::move(late));
  return peer::ok;
}

inline std::uint64_t plain_fib(long n) {
  return n < 2 ? static_cast<std::uint64_t>(n) : plain_fib(n - 1) + plain_fib(n - 2);
}

inline std::uint64_t fiber_fib(long n, long cut) {
  if (n < cut) return plain_fib(n);
  std::uint64_t left = 0;
  auto child = spawn(fibers::launch::dispatch, [&] { left = fiber_fib(n - 1, cut); });
  const std::uint64_t right = fiber_fib(n - 2, cut);
  child.join();
  return left + right;
}

inline int fib(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 32);
  const long cut = given.number("cut", 8);
  const std::uint64_t expected = plain_fib(n);
  double best = 0;
  for (long i = 0; i < given.number("reps", 3); ++i) {
    const peer::stopwatch watch;
    if (fiber_fib(n, cut) != expected) return peer::fail("wrong result");
    best = i == 0 ? watch.milliseconds() : std::min(best, watch.milliseconds());
  }
  print("ms", best, "ms");
  return peer::ok;
}

inline void add_scheduling(peer::table& all) {
  all["yield"] = yield;
  all["spawn_join"] = spawn_join;
  all["idle"] = idle;
  all["timers"] = timers;
  all["fib"] = fib;
}

}  // namespace workloads
