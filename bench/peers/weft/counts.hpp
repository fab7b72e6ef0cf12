// counts=1: what the runtime and the kernel counted while a workload ran. With more workers than
// CPUs times say little; these counts do.
#pragma once
#include <sys/resource.h>

#include <cstdint>
#include <weft/runtime.hpp>

#include "../common/program.hpp"

namespace workloads {

struct counts {
  weft::metrics fibers = weft::runtime::current()->stats();
  rusage process{};

  counts() { ::getrusage(RUSAGE_SELF, &process); }
};

inline void print_difference(const counts& a, const counts& b, const peer::report& print) {
  const auto line = [&print](const char* what, auto before, auto after) {
    print(what, static_cast<double>(after) - static_cast<double>(before), "1");
  };
  line("spawned", a.fibers.fibers_spawned, b.fibers.fibers_spawned);
  line("switches", a.fibers.switches, b.fibers.switches);
  line("steals", a.fibers.steals, b.fibers.steals);
  line("polls", a.fibers.polls, b.fibers.polls);
  line("sleeps", a.fibers.sleeps, b.fibers.sleeps);
  line("thread_switches", a.process.ru_nvcsw, b.process.ru_nvcsw);
  line("preemptions", a.process.ru_nivcsw, b.process.ru_nivcsw);
}

}  // namespace workloads
