#include <weft/detail/deadline.hpp>

#include "sync/wait_queue.hpp"

namespace weft::detail {

std::int64_t deadline_in(std::int64_t nanoseconds) noexcept {
  if (nanoseconds == no_deadline) return no_deadline;
  return saturating_add(time_now(), nanoseconds);
}

}  // namespace weft::detail
