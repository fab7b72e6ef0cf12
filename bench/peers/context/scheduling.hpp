// Workloads without a scheduler: yield, spawn_join, pingpong, skynet, idle, fib, generator, mutex.
// One thread; what would be a fiber is a context that runs when it is jumped to.
#pragma once
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "../common/program.hpp"
#include "context.hpp"

namespace floors {

constexpr long nesting = 64;  // no workload calls deeper

// Contexts in a circle. Each jump tells the next one where to note whence it came.
class ring {
 public:
  ring(long n, bool floating) : at_(static_cast<std::size_t>(n)), range_(n), floating_(floating) {
    for (std::size_t i = 1; i < at_.size(); ++i) {
      at_[i] = bare::make_fcontext(range_.top(static_cast<long>(i)), bare::stack_bytes, &main);
    }
  }

  void go_round() {
    static_cast<void>(jump_from(0));
    if (floating_) number_ = peer::inexact(number_);
  }

 private:
  struct letter {
    ring* sender;
    std::size_t from;
  };

  letter jump_from(std::size_t i) {
    letter mine{this, i};
    const bare::transfer_t came = bare::jump_fcontext(at_[(i + 1) % at_.size()], &mine);
    const letter theirs = *static_cast<letter*>(came.data);
    at_[theirs.from] = came.fctx;
    return theirs;
  }

  static void main(bare::transfer_t came) {
    const letter first = *static_cast<letter*>(came.data);
    ring& self = *first.sender;
    self.at_[first.from] = came.fctx;
    const std::size_t me = first.from + 1;
    for (double number = 1;;) {
      if (self.floating_) number = peer::inexact(number);
      self.jump_from(me);
    }
  }

  std::vector<bare::fcontext_t> at_;
  bare::stack_range range_;
  bool floating_;
  double number_ = 1;
};

inline int yield(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 2);
  const long m = given.number("m", 1'000'000);
  ring contexts(n, given.number("float", 0) != 0);
  const peer::stopwatch watch;
  for (long i = 0; i < m; ++i) contexts.go_round();
  print("ns_per_switch", watch.ns_each(n * m), "ns");
  return peer::ok;
}

// There and back is a jump each.
inline int there_and_back(const peer::arguments& given, const peer::report& print,
                          const char* metric) {
  const long n = given.number("n", 1'000'000);
  ring contexts(2, false);
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) contexts.go_round();
  print(metric, watch.ns_each(n), "ns");
  return peer::ok;
}

inline int pingpong(const peer::arguments& given, const peer::report& print) {
  return there_and_back(given, print, "ns_per_roundtrip");
}

inline int generator(const peer::arguments& given, const peer::report& print) {
  if (given.text("mode") == "tree") return peer::unsupported;
  return there_and_back(given, print, "ns_per_value");
}

inline int spawn_join(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  bare::stack_pool pool(nesting);
  long count = 0;
  auto body = [&count] { ++count; };
  if (given.text("mode") != "all") {
    const peer::stopwatch watch;
    for (long i = 0; i < n; ++i) bare::call(pool, body);
    print("ns_per_fiber", watch.ns_each(n), "ns");
    return count == n ? peer::ok : peer::fail("wrong count");
  }
  double cold = 0;
  double warm = 0;
  for (int round = 0; round < 4; ++round) {
    const peer::stopwatch watch;
    std::vector<decltype(body)*> waiting;
    for (long i = 0; i < n; ++i) waiting.push_back(&body);
    for (auto* each : waiting) bare::call(pool, *each);
    const double took = watch.ns_each(n);
    if (round == 0) cold = took;
    warm = round <= 1 ? took : std::min(warm, took);
  }
  print("ns_per_fiber_cold", cold, "ns");
  print("ns_per_fiber_warm", warm, "ns");
  return count == 4 * n ? peer::ok : peer::fail("wrong count");
}

inline std::uint64_t grow(bare::stack_pool& pool, std::uint64_t first, std::uint64_t leaves) {
  if (leaves == 1) return first;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    auto child = [&] { sum += grow(pool, first + i * (leaves / 10), leaves / 10); };
    bare::call(pool, child);
  }
  return sum;
}

inline int skynet(const peer::arguments& given, const peer::report& print) {
  const auto n = static_cast<std::uint64_t>(given.number("n", 1'000'000));
  bare::stack_pool pool(nesting);
  double warm = 0;
  for (long i = 0; i < given.number("reps", 3); ++i) {
    const peer::stopwatch watch;
    if (grow(pool, 0, n) != n * (n - 1) / 2) return peer::fail("wrong sum");
    const double took = watch.milliseconds();
    if (i == 0) print("ms_cold", took, "ms");
    warm = i <= 1 ? took : std::min(warm, took);
  }
  print("ms_warm", warm, "ms");
  return peer::ok;
}

inline std::uint64_t plain_fib(long n) {
  return n < 2 ? static_cast<std::uint64_t>(n) : plain_fib(n - 1) + plain_fib(n - 2);
}

inline std::uint64_t context_fib(bare::stack_pool& pool, long n, long cut) {
  if (n < cut) return plain_fib(n);
  std::uint64_t left = 0;
  auto body = [&] { left = context_fib(pool, n - 1, cut); };
  bare::call(pool, body);
  return left + context_fib(pool, n - 2, cut);
}

inline int fib(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 32);
  const long cut = given.number("cut", 8);
  const std::uint64_t expected = plain_fib(n);
  bare::stack_pool pool(nesting);
  double best = 0;
  for (long i = 0; i < given.number("reps", 3); ++i) {
    const peer::stopwatch watch;
    if (context_fib(pool, n, cut) != expected) return peer::fail("wrong result");
    best = i == 0 ? watch.milliseconds() : std::min(best, watch.milliseconds());
  }
  print("ms", best, "ms");
  return peer::ok;
}

// A context that was entered, and left in the middle.
inline int idle(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100'000);
  const bare::stack_range range(n);
  std::vector<bare::fcontext_t> parked(static_cast<std::size_t>(n));
  const double before = peer::resident_bytes();
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    const auto entry =
        bare::make_fcontext(range.top(i), bare::stack_bytes, [](bare::transfer_t from) {
          for (;;) from = bare::jump_fcontext(from.fctx, nullptr);
        });
    parked[static_cast<std::size_t>(i)] = bare::jump_fcontext(entry, nullptr).fctx;
  }
  print("spawn_ns_per_fiber", watch.ns_each(n), "ns");
  print("bytes_per_fiber", (peer::resident_bytes() - before) / static_cast<double>(n), "B");
  ::_exit(peer::ok);  // the end is not part of the measurement
}

// A lock that nobody else wants.
inline int mutex(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100) * given.number("m", 100'000);
  std::atomic<bool> taken{false};
  long count = 0;
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    while (taken.exchange(true, std::memory_order_acquire)) continue;
    ++count;
    taken.store(false, std::memory_order_release);
  }
  print("ns_per_op", watch.ns_each(n), "ns");
  return count == n ? peer::ok : peer::fail("wrong count");
}

}  // namespace floors
