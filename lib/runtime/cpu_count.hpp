// How many CPUs this process may really use.
#pragma once

namespace weft::detail {

// The CPUs of the affinity mask, or fewer if a cgroup's quota allows less time; at least 1.
unsigned usable_cpus() noexcept;

// Whether two threads may run at the same time. Asks the mask alone: a quota does not keep them
// from it, and reading it takes as long as half of a runtime's start.
bool several_cpus() noexcept;

}  // namespace weft::detail
