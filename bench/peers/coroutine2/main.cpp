// Boost.Coroutine2 in the comparison with other libraries; the protocol is in ../README.md.
// It has generators alone.
#include <boost/coroutine2/coroutine.hpp>

#include "../common/program.hpp"

namespace {

using coroutine = boost::coroutines2::coroutine<long>;

// A complete binary tree in an array's order: the children of i are 2 i + 1 and 2 i + 2.
void walk(coroutine::push_type& yield, long i, long n) {
  if (i >= n) return;
  walk(yield, 2 * i + 1, n);
  yield(i);
  walk(yield, 2 * i + 2, n);
}

int generator(const peer::arguments& given, const peer::report& print) {
  const long n = given.number("n", 1'000'000);
  const bool tree = given.text("mode") == "tree";
  long sum = 0;
  const peer::stopwatch watch;
  coroutine::pull_type values([&](coroutine::push_type& yield) {
    if (tree) return walk(yield, 0, n);
    for (long i = 0; i < n; ++i) yield(i);
  });
  for (const long value : values) sum += value;
  print("ns_per_value", watch.ns_each(n), "ns");
  return sum == n * (n - 1) / 2 ? peer::ok : peer::fail("wrong sum");
}

}  // namespace

int main(int argc, char** argv) {
  const peer::arguments given(argc, argv);
  if (given.workload() != "generator") return peer::unsupported;
  return generator(given, peer::report(given.workload()));
}
