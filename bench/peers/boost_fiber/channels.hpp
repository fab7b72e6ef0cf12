// Workloads of channels and locks: pingpong, skynet, mpmc, wake, mutex.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "program.hpp"

namespace workloads {

inline int pingpong(const peer::arguments& given, const peer::report& print) {
  const int n = static_cast<int>(given.number("n", 1'000'000));
  fibers::unbuffered_channel<int> there;
  fibers::unbuffered_channel<int> back;
  const peer::stopwatch watch;
  auto other = spawn(fibers::launch::post, [&] {
    for (const int i : there) back.push(i);
  });
  for (int i = 0; i < n; ++i) {
    there.push(i);
    if (back.value_pop() != i) return peer::fail("wrong value");
  }
  print("ns_per_roundtrip", watch.ns_each(n), "ns");
  there.close();
  other.join();
  return peer::ok;
}

using numbers = fibers::buffered_channel<std::uint64_t>;

// A tree of fibers with ten children each; the leaves' numbers are added on the way to its root.
// Each channel has room for all children, and they run at once.
inline void grow(const std::shared_ptr<numbers>& parent, std::uint64_t first,
                 std::uint64_t leaves) {
  if (leaves == 1) {
    parent->push(first);
    return;
  }
  const auto children = std::make_shared<numbers>(16);
  for (std::uint64_t i = 0; i < 10; ++i) {
    spawn(fibers::launch::dispatch, [children, part = first + i * (leaves / 10), leaves] {
      grow(children, part, leaves / 10);
    }).detach();
  }
  std::uint64_t sum = 0;
  for (int i = 0; i < 10; ++i) sum += children->value_pop();
  parent->push(sum);
}

inline int skynet(const peer::arguments& given, const peer::report& print) {
  const auto n = static_cast<std::uint64_t>(given.number("n", 1'000'000));
  double warm = 0;
  for (long i = 0; i < given.number("reps", 3); ++i) {
    const peer::stopwatch watch;
    const auto root = std::make_shared<numbers>(2);
    spawn(fibers::launch::post, [root, n] { grow(root, 0, n); }).detach();
    if (root->value_pop() != n * (n - 1) / 2) return peer::fail("wrong sum");
    const double took = watch.milliseconds();
    if (i == 0) {
      print("ms_cold", took, "ms");
    } else {
      warm = i == 1 ? took : std::min(warm, took);
    }
  }
  print("ms_warm", warm, "ms");
  return peer::ok;
}

inline int mpmc(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  const long producers = given.number("p", 4);
  const long consumers = given.number("c", 4);
  numbers items(static_cast<std::size_t>(given.number("cap", 128)));
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(consumers));
  const peer::stopwatch watch;
  auto producing = spawn(fibers::launch::post, [&] {
    parallel(producers, [&](long k) {
      for (long i = k; i < n; i += producers) items.push(static_cast<std::uint64_t>(i));
    });
    items.close();
  });
  parallel(consumers, [&](long k) {
    std::uint64_t sum = 0;
    for (const std::uint64_t item : items) sum += item;
    sums[static_cast<std::size_t>(k)] = sum;
  });
  producing.join();
  const double each = watch.ns_each(n);
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum += part;
  if (sum != static_cast<std::uint64_t>(n) * static_cast<std::uint64_t>(n - 1) / 2) {
    return peer::fail("wrong sum");
  }
  print("ns_per_item", each, "ns");
  return peer::ok;
}

inline int wake(const peer::arguments& given, const peer::report& print) {
  const int n = static_cast<int>(given.number("n", 100'000));
  fibers::unbuffered_channel<int> there;
  fibers::unbuffered_channel<int> back;
  const peer::stopwatch watch;
  std::thread outside([&] {
    for (int i = 0; i < n; ++i) {
      there.push(i);
      back.value_pop();
    }
    there.close();
  });
  for (const int i : there) back.push(i);
  outside.join();
  print("us_per_roundtrip", watch.ns_each(n) / 1e3, "us");
  return peer::ok;
}

inline int mutex(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100);
  const long m = given.number("m", 100'000);
  fibers::mutex lock;
  long count = 0;
  const peer::stopwatch watch;
  parallel(n, [&](long) {
    for (long i = 0; i < m; ++i) {
      const std::lock_guard guard(lock);
      ++count;
    }
  });
  const double each = watch.ns_each(n * m);
  if (count != n * m) return peer::fail("wrong count");
  print("ns_per_op", each, "ns");
  return peer::ok;
}

inline void add_channels(peer::table& all) {
  all["pingpong"] = pingpong;
  all["skynet"] = skynet;
  all["mpmc"] = mpmc;
  all["wake"] = wake;
  all["mutex"] = mutex;
}

}  // namespace workloads
