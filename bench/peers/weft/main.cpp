// weft in the comparison with other libraries; the protocol is in ../README.md.
//   weft_bench <workload> [w=workers] [stack=bytes] [counts=1] [key=value ...]
#include <exception>
#include <weft/runtime.hpp>

#include "../common/program.hpp"
#include "channels.hpp"
#include "counts.hpp"
#include "files.hpp"
#include "flow.hpp"
#include "loopback.hpp"
#include "scheduling.hpp"
#include "servers.hpp"

int main(int argc, char** argv) try {
  peer::table all;
  workloads::add_scheduling(all);
  workloads::add_channels(all);
  workloads::add_flow(all);
  workloads::add_files(all);
  workloads::add_servers(all);
  all["loopback"] = workloads::loopback;
  const peer::arguments given(argc, argv);
  const auto found = all.find(given.workload());
  if (found == all.end()) return peer::unsupported;

  weft::options options;
  options.workers = static_cast<unsigned>(given.number("w", 1));
  options.stack_bytes =
      static_cast<std::size_t>(given.number("stack", static_cast<long>(options.stack_bytes)));
  return weft::run(options, [&] {
    const peer::report print(given.workload());
    const workloads::counts before;
    const int status = found->second(given, print);
    if (given.number("counts", 0) != 0)
      workloads::print_difference(before, workloads::counts(), print);
    return status;
  });
} catch (const std::exception& error) {
  return peer::fail(error.what());
}
