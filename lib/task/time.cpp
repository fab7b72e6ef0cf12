// Sleeping and tickers.
#include <weft/time.hpp>

#include <stdexcept>

#include "fiber/park.hpp"

namespace weft {
namespace detail {

void sleep_until_nanoseconds(std::int64_t steady_time) {
  require_fiber("sleep()");
  if (current_carrier()->now() >= steady_time) return yield();
  parking wait("sleep");
  if (wait.park_until(steady_time) == wake_reason::cancelled) throw_cancelled();
}

void sleep_for_nanoseconds(std::int64_t duration) {
  require_fiber("sleep()");
  if (duration <= 0) return yield();
  const nanos when = saturating_add(current_carrier()->now(), duration);
  parking wait("sleep");
  if (wait.park_until(when) == wake_reason::cancelled) throw_cancelled();
}

}  // namespace detail

ticker::ticker(std::int64_t period, int) : period_(period) {
  if (period <= 0) throw std::invalid_argument("weft: a ticker needs a positive period");
  detail::require_fiber("ticker");
  due_ = detail::saturating_add(detail::current_carrier()->now(), period);
}

std::uint64_t ticker::next() {
  detail::sleep_until_nanoseconds(due_);
  const detail::nanos late = detail::current_carrier()->now() - due_;
  const std::int64_t skipped = late > 0 ? late / period_ : 0;
  due_ = detail::saturating_add(due_ + skipped * period_, period_);
  return static_cast<std::uint64_t>(skipped);
}

}  // namespace weft
