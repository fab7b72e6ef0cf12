// dump_fibers(): copies what is to be said under the registry's locks, and writes it without them.
#include <weft/debug.hpp>

#include <algorithm>
#include <iomanip>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/runtimes.hpp"
#include "sched/scheduler.hpp"

namespace weft {
namespace detail {
namespace {

struct line {
  std::uint64_t id;
  std::string name;
  bool parked;
  const char* what;
  nanos since;
  const void* spawned_at;
};

std::vector<line> collect(scheduler& of) {
  std::vector<line> lines;
  lines.reserve(static_cast<std::size_t>(of.fibers.live()) + 64);
  of.fibers.for_each([&lines](control& fiber) {
    const std::uint32_t word = fiber.word.load(std::memory_order_acquire);
    lines.push_back({fiber.id, fiber.name == nullptr ? "" : fiber.name,
                     (word & waitable::parked) != 0, fiber.what.load(std::memory_order_relaxed),
                     fiber.since.load(std::memory_order_relaxed), fiber.spawned_at});
  });
  std::sort(lines.begin(), lines.end(), [](const line& a, const line& b) { return a.id < b.id; });
  return lines;
}

void write(std::ostream& to, const line& of, nanos now) {
  to << "fiber " << of.id;
  if (!of.name.empty()) to << " \"" << of.name << '"';
  if (of.parked) {
    const double seconds = static_cast<double>(std::max<nanos>(0, now - of.since)) / 1e9;
    to << ": parked in " << (of.what == nullptr ? "?" : of.what) << " for " << std::fixed
       << std::setprecision(2) << seconds << " s";
  } else {
    to << ": running or ready";
  }
  to << ", spawned at " << of.spawned_at << '\n';
}

}  // namespace
}  // namespace detail

void dump_fibers(std::ostream& to) {
  std::vector<detail::line> lines;
  if (detail::control* self = detail::current_fiber()) {
    lines = detail::collect(*static_cast<detail::scheduler*>(self->home));
  } else {
    detail::for_each_scheduler([&lines](detail::scheduler& each) {
      const auto more = detail::collect(each);
      lines.insert(lines.end(), more.begin(), more.end());
    });
  }
  const detail::nanos now = detail::steady_now();
  const auto flags = to.flags();
  const auto precision = to.precision();
  for (const detail::line& each : lines) detail::write(to, each, now);
  to.flags(flags);
  to.precision(precision);
}

}  // namespace weft
