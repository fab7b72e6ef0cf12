// One program with a command for each situation that the tests of faults bring about from outside:
// system calls that fail, peers that misbehave, limits, signals.   fault_program COMMAND [WORD...]
#include <exception>

#include "program.hpp"

namespace {

struct command {
  const char* name;
  int (*run)(const faults::arguments&);
};

constexpr command commands[] = {
    {"echo", faults::echo},
    {"accept", faults::accept_loop},
    {"server", faults::talk_server},
    {"client", faults::talk_client},
    {"spawn", faults::spawn_until_failure},
    {"start", faults::start_often},
    {"start-nofile", faults::start_with_few_descriptors},
    {"stacks", faults::many_stacks},
    {"overflow", faults::overflow},
    {"null-write", faults::null_write},
    {"signals", faults::storm_of_signals},
    {"reset", faults::reset_while_writing},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  for (const command& each : commands) {
    if (name != each.name) continue;
    try {
      return each.run(faults::arguments(argc - 2, argv + 2));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
      return 1;
    }
  }
  std::fprintf(stderr, "usage: fault_program COMMAND [WORD...]\n");
  return 2;
}
