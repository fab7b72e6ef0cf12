// Workloads of channels and locks: pingpong, skynet, mpmc, wake, select, mutex.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>
#include <weft/channel.hpp>
#include <weft/go.hpp>
#include <weft/mutex.hpp>
#include <weft/select.hpp>

#include "../common/program.hpp"
#include "parallel.hpp"

namespace workloads {

// pairs=: so many at once, which share the n round trips.
inline int pingpong(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  const long pairs = given.number("pairs", 1);
  std::atomic<bool> wrong{false};
  const auto play = [&](long k) {
    const weft::channel<long> there;
    const weft::channel<long> back;
    auto other = weft::go([&] {
      for (const long i : there) back.send(i);
    });
    for (long i = k; i < n; i += pairs) {
      there.send(i);
      if (back.recv() != i) wrong = true;
    }
    there.close();
    other.join();
  };
  const peer::stopwatch watch;
  if (pairs == 1)
    play(0);
  else
    parallel(pairs, play);
  print("ns_per_roundtrip", watch.ns_each(n), "ns");
  return wrong ? peer::fail("wrong value") : peer::ok;
}

// A tree of fibers with ten children each; the leaves' numbers are added on the way to its root.
inline void grow(const weft::channel<std::uint64_t>& parent, std::uint64_t first,
                 std::uint64_t leaves) {
  if (leaves == 1) {
    parent.send(first);
    return;
  }
  const weft::channel<std::uint64_t> children;
  for (std::uint64_t i = 0; i < 10; ++i) {
    weft::go(grow, children, first + i * (leaves / 10), leaves / 10).detach();
  }
  std::uint64_t sum = 0;
  for (int i = 0; i < 10; ++i) sum += children.recv().value();
  parent.send(sum);
}

inline int skynet(const peer::arguments& given, const peer::report& print) {
  const auto n = static_cast<std::uint64_t>(given.number("n", 1'000'000));
  double warm = 0;
  for (long i = 0; i < given.number("reps", 3); ++i) {
    const peer::stopwatch watch;
    const weft::channel<std::uint64_t> root;
    weft::go(grow, root, std::uint64_t{0}, n).detach();
    if (root.recv() != n * (n - 1) / 2) return peer::fail("wrong sum");
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
  const weft::channel<std::uint64_t> items(static_cast<std::size_t>(given.number("cap", 128)));
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(consumers));
  const peer::stopwatch watch;
  auto producing = weft::go([&] {
    parallel(producers, [&](long k) {
      for (long i = k; i < n; i += producers) items.send(static_cast<std::uint64_t>(i));
    });
    items.close();
  });
  parallel(consumers, [&](long k) {
    std::uint64_t sum = 0;
    for (std::uint64_t item : items) sum += item;
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
  const weft::channel<int> there;
  const weft::channel<int> back;
  const peer::stopwatch watch;
  std::thread outside([&] {
    for (int i = 0; i < n; ++i) {
      there.send(i);
      back.recv();
    }
    there.close();
  });
  for (int i : there) back.send(i);
  outside.join();
  print("us_per_roundtrip", watch.ns_each(n) / 1e3, "us");
  return peer::ok;
}

// Receives n times from the channel that a producer chose, with a function that selects.
template <class Select>
void receive_selected(const peer::report& print, const std::vector<weft::channel<int>>& channels,
                      long n, const Select& select_one) {
  const peer::stopwatch watch;
  auto producer = weft::go([&] {
    for (long i = 0; i < n; ++i) {
      channels[peer::mix(static_cast<std::uint64_t>(i)) % channels.size()].send(1);
    }
  });
  for (long i = 0; i < n; ++i) select_one();
  producer.join();
  print("ns_per_receive", watch.ns_each(n), "ns");
}

// Two cases stand in the call; more are a list that is made once.
inline int select(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  std::vector<weft::channel<int>> channels;
  for (long i = 0; i < given.number("cases", 2); ++i) channels.emplace_back();
  long sum = 0;
  const auto add = [&sum](std::optional<int> value) { sum += *value; };
  if (channels.size() == 2) {
    receive_selected(print, channels, n, [&] {
      weft::select(weft::on_recv(channels[0], add), weft::on_recv(channels[1], add));
    });
  } else {
    std::vector<weft::select_case> cases;
    for (const auto& each : channels) cases.emplace_back(weft::on_recv(each, add));
    receive_selected(print, channels, n, [&] { weft::select(cases); });
  }
  return sum == n ? peer::ok : peer::fail("wrong sum");
}

inline int mutex(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 100);
  const long m = given.number("m", 100'000);
  weft::mutex lock;
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
  all["select"] = select;
  all["mutex"] = mutex;
}

}  // namespace workloads
