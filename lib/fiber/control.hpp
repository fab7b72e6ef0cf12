// The control block of a fiber, and the two interfaces by which this layer reaches the scheduler.
//
// (1) The block outlives the run of the fiber: one reference is the run's, one each handle's. It
//     holds the callable and the result behind itself (detail/task.hpp).
// (2) next is the link of whichever queue holds the fiber; it stands on at most one.
// (3) The stack is bound when the fiber first runs (late stacks) and gone when it has ended.
// (4) name is guarded by the registry shard's lock; what and since are for dumps alone.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <weft/detail/task.hpp>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"
#include "base/this_thread.hpp"
#include "context/switch.hpp"
#include "fiber/block_cache.hpp"
#include "fiber/registry.hpp"
#include "fiber/scope.hpp"
#include "fiber/storage.hpp"
#include "fiber/wait_list.hpp"
#include "fiber/waitable.hpp"

namespace weft::detail {

class fiber_home;

using failure_handler = std::function<void(std::string_view name, std::exception_ptr what)>;

// For failures that nobody can receive any more.
struct failure_handlers {
  failure_handler unhandled;
  failure_handler also_failed;  // after a sibling, whose failure is the one that is rethrown
};

// What is left of a fiber that threw. It carries the handlers, since a handle may outlive the
// runtime.
struct failure {
  std::exception_ptr error;
  std::shared_ptr<const failure_handlers> handlers;
};

// In the order of use: what a joiner touches after the end stands in the first two lines of cache,
// what a switch touches behind them. Of a hundred thousand fibers each line is a miss.
struct control : waitable, sibling_hook, registry_hook {
  control() noexcept : waitable(false) {}

  const task_ops* ops = nullptr;
  std::atomic<std::uint32_t> references{2};
  std::atomic<bool> done{false};  // release in end_fiber(), acquire in task_done()
  bool started = false;
  bool ended_by_cancel = false;
  std::uint8_t memory_class = 0;

  failure failed;
  char* name = nullptr;
  fiber_storage storage;
  std::uint16_t shard = 0;
  std::uint8_t stack_class = 0;
  bool stops_with_group = false;      // the owner of its group is of the same runtime
  bool failure_received = false;      // someone got or will get it; guarded by lock
  bool failed_after_sibling = false;  // guarded by lock

  std::atomic<bool> cancel_pending{false};  // see scope.hpp (2)
  std::atomic<bool> cancel_queued{false};   // the one canceller that walks the root scope
  control* next = nullptr;
  stack* on = nullptr;
  context where;
  carrier* pinned_to = nullptr;
  fiber_home* home = nullptr;
  unsigned pins = 0;
  unsigned suspends_forbidden = 0;  // see no_suspend_guard
  unsigned unarmed_deadlines = 0;
  unsigned io_spent = 0;  // see io/budget.hpp

  spin_lock lock;  // scopes, joiners
  wait_list joiners;
  cancel_scope root{cancel_scope::kind::root};
  cancel_scope* innermost = &root;
  group_scope* group = nullptr;       // the group it is a child of
  control* next_cancelled = nullptr;  // work list of the canceller that set cancel_queued

  std::uint64_t id = 0;
  const void* spawned_at = nullptr;
  std::atomic<const char*> what{nullptr};  // what it waits for
  std::atomic<nanos> since{0};
};

static_assert(control_bytes % alignof(std::max_align_t) == 0);

// The scheduler, as seen from any thread.
class fiber_home {
 public:
  // From a thread that is not one of its workers.
  virtual void submit(control& ready) noexcept = 0;
  // A fiber left the registry; during shutdown the last one ends the scheduler.
  virtual void fiber_ended() noexcept = 0;
  // Whether every fiber has been asked to stop, or is about to be.
  virtual bool stopping() const noexcept = 0;
  // Returns when the entry neither is armed nor fires. Any thread.
  virtual void disarm(timer& entry) noexcept = 0;

  registry fibers;
  std::shared_ptr<const failure_handlers> handlers;

 protected:
  ~fiber_home() = default;
};

// A thread that runs fibers, as seen from that thread.
class carrier : public thread_side {
 public:
  explicit carrier(fiber_home& of) noexcept : home(of) {}

  fiber_home& home;
  control* running = nullptr;
  nanos coarse_now = 0;  // refreshed at every poll, good for dumps only
  block_cache blocks;
  id_range ids;
  std::uint16_t shard = 0;
  std::uint32_t random = 0;  // state of select()'s choices; 0 before the first

  // Leaves the running fiber, whose word is `arming`. Returns once it has been claimed, perhaps on
  // another carrier.
  virtual void suspend() noexcept = 0;
  virtual void make_ready(control& claimed) noexcept = 0;
  virtual void spawn(control& fresh) noexcept = 0;
  virtual void arm(timer& entry) noexcept = 0;
  virtual nanos now() noexcept = 0;

 protected:
  ~carrier() = default;
};

// The fiber that runs on this thread, or null.
inline control* current_fiber() noexcept {
  carrier* here = current_carrier();
  return here == nullptr ? nullptr : here->running;
}

// The same, or std::logic_error that names the operation and what to do instead.
control& require_fiber(const char* operation);

// The time as the runtime of this thread sees it; elsewhere that of the steady clock.
inline nanos time_now() noexcept {
  carrier* here = current_carrier();
  return here != nullptr ? here->now() : steady_now();
}

// Asked first, so that a call with a time of the past returns at once instead of parking.
inline bool has_passed(nanos deadline) noexcept {
  return deadline != never && deadline <= time_now();
}

// For messages from signal handlers: the running fiber's id and name.
std::size_t describe_running_fiber(char* to, std::size_t room) noexcept;

// One reference less; whether it was the last. Who holds the only one can let it go without a
// locked instruction: a reference is added by who holds one, or under the lock of a list from which
// the fiber is taken before the run lets go of its own. A template for the model checker.
template <class Count>
bool drop_one(Count& references) noexcept {
  // The last one sees all that the others wrote.
  return references.load(std::memory_order_acquire) == 1 ||
         references.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void add_reference(control& fiber) noexcept;
void drop_reference(control& fiber) noexcept;

// The body of a fiber, on its own stack: runs the callable and tells everyone of its end. The block
// may be freed when this returns.
void run_to_end(control& fiber) noexcept;

// Nobody wants to know how it failed, or will fail.
void ignore_failure(control& fiber) noexcept;

// Ends a fiber that could not run, with this error.
void end_unstarted(control& fiber, std::exception_ptr why) noexcept;

inline void registry::add(control& born) noexcept {
  shard& in = shards_[born.shard];
  std::lock_guard<spin_lock> hold(in.lock);
  in.fibers.push_back(born);
  in.added.store(in.added.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

inline void registry::remove(control& ended) noexcept {
  shard& in = shards_[ended.shard];
  std::lock_guard<spin_lock> hold(in.lock);
  intrusive_list<control, registry_hook>::erase(ended);
  in.removed.store(in.removed.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace weft::detail
