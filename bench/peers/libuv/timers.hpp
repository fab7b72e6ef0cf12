// Workloads of timers: timers, timeout.
#pragma once
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "../common/program.hpp"

namespace on_libuv {

inline int timers(const peer::arguments& given, const peer::report& print) {
  struct sleeper {
    uv_timer_t timer;
    std::int64_t wanted_ns;
    peer::stopwatch own;
    std::int64_t late;
  };
  uv_loop_t* loop = uv_default_loop();
  std::vector<sleeper> sleepers(static_cast<std::size_t>(given.number("n", 100'000)));
  const double cpu = peer::cpu_seconds();
  const peer::stopwatch watch;
  std::uint64_t i = 0;
  for (sleeper& each : sleepers) {
    const std::uint64_t ms = peer::mix(i++) % 1000 + 1;
    uv_timer_init(loop, &each.timer);
    each.timer.data = &each;
    each.wanted_ns = static_cast<std::int64_t>(ms) * 1'000'000;
    each.own = peer::stopwatch();
    uv_update_time(loop);  // otherwise the time from which it counts is that of the loop's turn
    uv_timer_start(
        &each.timer,
        [](uv_timer_t* timer) {
          auto& self = *static_cast<sleeper*>(timer->data);
          self.late = self.own.nanoseconds() - self.wanted_ns;
        },
        ms, 0);
  }
  uv_run(loop, UV_RUN_DEFAULT);
  print("wall", watch.milliseconds(), "ms");
  print("cpu", peer::cpu_seconds() - cpu, "s");
  std::vector<std::int64_t> late;
  for (const sleeper& each : sleepers) late.push_back(each.late);
  print.lateness(std::move(late));
  return peer::ok;
}

inline int timeout(const peer::arguments& given, const peer::report& print) {
  if (given.text("mode") == "park") return peer::unsupported;
  const long n = given.number("n", 1'000'000);
  uv_timer_t timer;
  uv_timer_init(uv_default_loop(), &timer);
  const peer::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    uv_timer_start(
        &timer, [](uv_timer_t*) {}, 3'600'000, 0);
    uv_timer_stop(&timer);
  }
  print("ns_per_call", watch.ns_each(n), "ns");
  return peer::ok;
}

}  // namespace on_libuv
