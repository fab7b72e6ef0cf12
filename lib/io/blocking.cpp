// blocking(): the pool of the calling fiber's runtime.
#include <weft/blocking.hpp>

#include "reactor/thread_pool.hpp"
#include "sched/scheduler.hpp"

namespace weft::detail {

void run_blocking(void (*run)(void* what) noexcept, void* what) {
  control& self = require_fiber("blocking()");
  static_cast<scheduler*>(self.home)->pool->execute(run, what);
}

}  // namespace weft::detail
