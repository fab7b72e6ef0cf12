// See cpu_count.hpp. Reads cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us) of this process and of the
// groups around it; anything that cannot be read sets no limit.
#include "runtime/cpu_count.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace weft::detail {
namespace {

unsigned cpus_of_mask() noexcept {
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0)
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&mask)));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

#ifdef __linux__

double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0)
    return std::numeric_limits<double>::infinity();
  return std::atof(quota.c_str()) / period;
}

double quota_v1(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

// The least quota from this group up to the root of its hierarchy.
double least_upwards(const std::string& root, std::string group,
                     double (*read)(const std::string&)) {
  double least = read(root);
  while (group.size() > 1) {
    least = std::min(least, read(root + group));
    group.erase(group.rfind('/'));
  }
  return least;
}

double cgroup_quota() {
  double least = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "id:controllers:/path"
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, least_upwards("/sys/fs/cgroup", path, quota_v2));
    } else if ((',' + controllers + ',').find(",cpu,") != std::string::npos) {
      least = std::min(least, least_upwards("/sys/fs/cgroup/" + controllers, path, quota_v1));
      least = std::min(least, least_upwards("/sys/fs/cgroup/cpu", path, quota_v1));
    }
  }
  return least;
}

#else
double cgroup_quota() { return std::numeric_limits<double>::infinity(); }
#endif

}  // namespace

unsigned usable_cpus() noexcept {
  const unsigned mask = cpus_of_mask();
  try {
    const double quota = cgroup_quota();
    if (quota < mask) return std::max(1u, static_cast<unsigned>(std::ceil(quota)));
  } catch (...) {  // no memory to find out: no limit
  }
  return mask;
}

bool several_cpus() noexcept { return cpus_of_mask() > 1; }

}  // namespace weft::detail
