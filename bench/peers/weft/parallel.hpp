// Runs body(0) ... body(n - 1), each in a fiber, and waits for them.
#pragma once
#include <vector>
#include <weft/go.hpp>

template <class F>
void parallel(long n, const F& body) {
  std::vector<weft::fiber<void>> fibers;
  fibers.reserve(static_cast<std::size_t>(n));
  for (long i = 0; i < n; ++i) fibers.push_back(weft::go([&body, i] { body(i); }));
  for (auto& each : fibers) each.join();
}
