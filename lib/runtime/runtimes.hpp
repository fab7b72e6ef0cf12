// The runtimes of the process, for dumps from plain threads.
#pragma once
#include <functional>

namespace weft::detail {

class scheduler;

// Keeps one scheduler on the list while it lives.
class listed_runtime {
 public:
  explicit listed_runtime(scheduler& what);
  ~listed_runtime();
  listed_runtime(const listed_runtime&) = delete;
  listed_runtime& operator=(const listed_runtime&) = delete;

 private:
  scheduler& what_;
};

// No runtime starts or ends meanwhile.
void for_each_scheduler(const std::function<void(scheduler&)>& visit);

}  // namespace weft::detail
