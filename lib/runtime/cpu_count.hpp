// How many CPUs this process may really use.
#pragma once

namespace weft::detail {

// The CPUs of the affinity mask, or fewer if a cgroup's quota allows less time; at least 1.
unsigned usable_cpus() noexcept;

}  // namespace weft::detail
