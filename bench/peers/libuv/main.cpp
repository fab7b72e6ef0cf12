// Callbacks on libuv, without fibers: what anything that stands on libuv is measured by.
// Workloads: timers, timeout (a timer started and stopped), file_read, pread, echo, http (without a
// parser). One loop; echo, http: so many as w= says, each on a thread. See ../README.md.
#include <exception>

#include "files.hpp"
#include "servers.hpp"
#include "timers.hpp"

int main(int argc, char** argv) try {
  const peer::arguments given(argc, argv);
  const peer::table all = {{"timers", on_libuv::timers},       {"timeout", on_libuv::timeout},
                           {"file_read", on_libuv::file_read}, {"pread", on_libuv::pread},
                           {"echo", on_libuv::echo},           {"http", on_libuv::http}};
  const auto found = all.find(given.workload());
  if (found == all.end()) return peer::unsupported;
  const bool server = given.workload() == "echo" || given.workload() == "http";
  if (given.number("w", 1) > 1 && !server) return peer::unsupported;
  return found->second(given, peer::report(given.workload()));
} catch (const std::exception& error) {
  return peer::fail(error.what());
}
