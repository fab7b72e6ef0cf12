// The floors: bare contexts, plain calls and epoll, without a scheduler. The protocol is in
// ../README.md. One thread; echo, http: so many as w= says; wake: two.
#include <exception>

#include "io.hpp"
#include "scheduling.hpp"

int main(int argc, char** argv) try {
  const peer::arguments given(argc, argv);
  const peer::table all = {{"yield", floors::yield},
                           {"spawn_join", floors::spawn_join},
                           {"pingpong", floors::pingpong},
                           {"skynet", floors::skynet},
                           {"idle", floors::idle},
                           {"fib", floors::fib},
                           {"generator", floors::generator},
                           {"mutex", floors::mutex},
                           {"file_read", floors::file_read},
                           {"pread", floors::pread},
                           {"wake", floors::wake},
                           {"echo", floors::echo},
                           {"http", floors::http}};
  const auto found = all.find(given.workload());
  if (found == all.end()) return peer::unsupported;
  const std::string& name = given.workload();
  const bool parallel = name == "echo" || name == "http" || name == "wake";
  if (given.number("w", 1) > 1 && !parallel) return peer::unsupported;
  return found->second(given, peer::report(name));
} catch (const std::exception& error) {
  return peer::fail(error.what());
}
