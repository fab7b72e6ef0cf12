// See runtimes.hpp.
#include "runtime/runtimes.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "base/never_destroyed.hpp"
#include "io/signal_hub.hpp"

namespace weft::detail {
namespace {

struct list {
  std::mutex lock;
  std::vector<scheduler*> all;
};

list& runtimes() {
  static never_destroyed<list> only;  // a runtime may be a static object
  return only.get();
}

}  // namespace

listed_runtime::listed_runtime(scheduler& what) : what_(what) {
  std::lock_guard<std::mutex> hold(runtimes().lock);
  runtimes().all.push_back(&what);
}

listed_runtime::~listed_runtime() {
  std::lock_guard<std::mutex> hold(runtimes().lock);
  auto& all = runtimes().all;
  all.erase(std::find(all.begin(), all.end(), &what_));
  if (all.empty()) forget_signals();
}

void for_each_scheduler(const std::function<void(scheduler&)>& visit) {
  std::lock_guard<std::mutex> hold(runtimes().lock);
  for (scheduler* each : runtimes().all) visit(*each);
}

}  // namespace weft::detail
