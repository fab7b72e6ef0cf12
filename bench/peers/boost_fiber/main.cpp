// Boost.Fiber in the comparison with other libraries; the protocol is in ../README.md.
// It has no select, no deadline around a call, and no generators.
#include <exception>

#include "channels.hpp"
#include "scheduling.hpp"

int main(int argc, char** argv) try {
  peer::table all;
  workloads::add_scheduling(all);
  workloads::add_channels(all);
  const peer::arguments given(argc, argv);
  const auto found = all.find(given.workload());
  if (found == all.end()) return peer::unsupported;
  int status = peer::failed;
  with_workers(static_cast<unsigned>(given.number("w", 1)),
               [&] { status = found->second(given, peer::report(given.workload())); });
  return status;
} catch (const std::exception& error) {
  return peer::fail(error.what());
}
