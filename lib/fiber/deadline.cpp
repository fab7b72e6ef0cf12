#include <weft/detail/deadline.hpp>

#include "fiber/control.hpp"

namespace weft::detail {

std::int64_t deadline_in(std::int64_t nanoseconds) noexcept {
  return saturating_add(time_now(), nanoseconds);
}

}  // namespace weft::detail
