// Workloads of deadlines and generators: timeout, generator.
#pragma once
#include <chrono>
#include <cstdint>
#include <weft/cancel.hpp>
#include <weft/channel.hpp>
#include <weft/generator.hpp>
#include <weft/go.hpp>

#include "../common/program.hpp"

namespace workloads {

inline int timeout(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  const auto limit = std::chrono::hours(1);
  long sum = 0;
  if (given.text("mode") != "park") {
    const peer::stopwatch watch;
    for (long i = 0; i < n; ++i) {
      sum += weft::with_timeout(limit, [] {
        weft::check_cancelled();
        return 1;
      });
    }
    print("ns_per_call", watch.ns_each(n), "ns");
    return sum == n ? peer::ok : peer::fail("wrong sum");
  }
  const weft::channel<int> questions;
  const weft::channel<int> answers;
  const peer::stopwatch watch;
  auto server = weft::go([&] {
    for (int question : questions) answers.send(question);
  });
  for (long i = 0; i < n; ++i) {
    sum += weft::with_timeout(limit, [&] {
      questions.send(1);
      return answers.recv().value();
    });
  }
  print("ns_per_call", watch.ns_each(n), "ns");
  questions.close();
  server.join();
  return sum == n ? peer::ok : peer::fail("wrong sum");
}

// A complete binary tree in an array's order: the children of i are 2 i + 1 and 2 i + 2.
inline void walk(weft::yielder<long>& yield, long i, long n) {
  if (i >= n) return;
  walk(yield, 2 * i + 1, n);
  yield(i);
  walk(yield, 2 * i + 2, n);
}

inline int generator(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  const bool tree = given.text("mode") == "tree";
  long sum = 0;
  const peer::stopwatch watch;
  weft::generator<long> values([&](auto& yield) {
    if (tree) return walk(yield, 0, n);
    for (long i = 0; i < n; ++i) yield(i);
  });
  for (const long value : values) sum += value;
  print("ns_per_value", watch.ns_each(n), "ns");
  return sum == n * (n - 1) / 2 ? peer::ok : peer::fail("wrong sum");
}

inline void add_flow(peer::table& all) {
  all["timeout"] = timeout;
  all["generator"] = generator;
}

}  // namespace workloads
