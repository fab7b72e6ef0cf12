#include "sync/misuse.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <weft/detail/wait_room.hpp>

#include "fiber/control.hpp"

namespace weft::detail {

void end_program(const char* sentence) noexcept {
  char who[128];
  const std::size_t length = describe_running_fiber(who, sizeof who);
  std::fprintf(stderr, "weft: %s (in %.*s)\n", sentence, static_cast<int>(length), who);
  std::abort();
}

void throw_bad_count() {
  throw std::logic_error(
      "weft: a latch, barrier or semaphore starts with a count between 0 and its max()");
}

}  // namespace weft::detail
