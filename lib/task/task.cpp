// Birth of a fiber and its handle: the library side of detail/task.hpp and go.hpp.
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <weft/go.hpp>

#include "fiber/park.hpp"
#include "sched/scheduler.hpp"

namespace weft {
namespace detail {
namespace {

static_assert(sizeof(control) <= control_bytes, "raise control_bytes in detail/task.hpp");
static_assert(alignof(control) <= alignof(std::max_align_t));

char* copy_name(std::string_view name) {
  if (name.empty()) return nullptr;
  char* copy = new char[name.size() + 1];
  std::memcpy(copy, name.data(), name.size());
  copy[name.size()] = '\0';
  return copy;
}

}  // namespace

__attribute__((noinline)) control* new_task(scheduler* home, std::size_t payload_bytes,
                                            const task_ops& ops, const fiber_options& options) {
  if (home == nullptr) home = static_cast<scheduler*>(require_fiber("go()").home);
  if (options.stack_bytes > stacks::largest)
    throw std::invalid_argument("weft: fiber_options::stack_bytes is over 1 GiB");
  const std::size_t bytes = control_bytes + payload_bytes;
  const std::uint8_t memory_class = block_cache::class_for(bytes);
  std::unique_ptr<char[]> name(copy_name(options.name));
  carrier* here = current_carrier();
  void* room = here != nullptr ? here->blocks.allocate(memory_class, bytes)
                               : block_cache::allocate_shared(memory_class, bytes);
  auto* made = ::new (room) control;
  made->memory_class = memory_class;
  made->home = home;
  made->ops = &ops;
  made->root.owner = made;
  made->name = name.release();
  made->stack_class =
      options.stack_bytes == 0 ? home->stack_class() : stacks::class_for(options.stack_bytes);
  const control* spawner = here == nullptr ? nullptr : here->running;
  if (spawner == nullptr || spawner->storage.context != nullptr)
    made->storage.context = inherited_context(spawner);
  made->spawned_at = __builtin_return_address(0);
  if (here != nullptr) {
    made->shard = here->shard;
    made->id = here->ids.next();
  } else {
    static std::mutex lock;
    static id_range outside;
    std::lock_guard<std::mutex> hold(lock);
    made->id = outside.next();
  }
  return made;
}

void abandon_task(control* unstarted) noexcept {
  // No callable was made in it, so nothing but the block goes.
  drop_reference(*unstarted);
  drop_reference(*unstarted);
}

void discard_task(control* unstarted) noexcept {
  unstarted->ops->discard(payload_of(unstarted));
  abandon_task(unstarted);
}

void start_task(control* ready) {
  try {
    static_cast<scheduler*>(ready->home)->start_fiber(*ready);
  } catch (...) {
    discard_task(ready);
    throw;
  }
}

void release_task(control* task) noexcept { drop_reference(*task); }

bool task_done(const control* task) noexcept {
  return task->done.load(std::memory_order_acquire);  // pairs with end_fiber()
}

std::uint64_t task_id(const control* task) noexcept { return task->id; }

void cancel_task(control* task) noexcept {
  if (!task_done(task)) request_cancel(task->root);
}

namespace {

// Waits that could never end. A group waits for its children, so they cannot wait for its owner.
void refuse_to_wait_for_oneself(const control& task, nanos deadline) {
  const control* self = current_fiber();
  if (self == &task) throw std::logic_error("weft: a fiber cannot wait for its own end");
  if (deadline != never) return;
  for (; self != nullptr && self->group != nullptr; self = self->group->owner)
    if (self->group->owner == &task)
      throw std::logic_error("weft: a child of a group cannot wait for the fiber that owns it");
}

// Returns whether the fiber has ended.
bool wait_until_done(control& task, nanos deadline) {
  if (task_done(&task)) return true;
  refuse_to_wait_for_oneself(task, deadline);
  const wake_reason why =
      wait_in_list(task.joiners, task.lock, "join", deadline, [&task] { return task_done(&task); });
  if (why == wake_reason::cancelled) throw_cancelled();
  return task_done(&task);
}

}  // namespace

void wait_task(control* task) { wait_until_done(*task, never); }

bool wait_task_for(control* task, std::int64_t nanoseconds) {
  if (nanoseconds <= 0) return task_done(task);
  return wait_until_done(*task, deadline_in(nanoseconds));
}

void throw_fiber_cancelled() {
  const control* self = current_fiber();
  if (self != nullptr && may_interrupt(*self) && asked_to_stop(*self)) throw_cancelled();
  throw fiber_cancelled();
}

void collect_task(control* task) {
  if (task->ended_by_cancel) throw_fiber_cancelled();
  if (task->failed.error == nullptr) return;
  std::exception_ptr error;
  {
    std::lock_guard<spin_lock> hold(task->lock);
    task->failure_received = true;
    error = task->failed.error;
  }
  std::rethrow_exception(std::move(error));
}

control* fiber_handle::valid() const {
  if (task_ == nullptr)
    throw std::logic_error(
        "weft: this handle refers to no fiber (default-made, moved from, or detached)");
  return task_;
}

control* fiber_handle::collect() {
  control* task = valid();
  if (joined_)
    throw std::logic_error("weft: this fiber has been joined already; a result can be taken once");
  wait_task(task);
  joined_ = true;
  collect_task(task);
  return task;
}

}  // namespace detail

void yield() {
  detail::carrier* here = detail::current_carrier();
  detail::control* self = here == nullptr ? nullptr : here->running;
  if (self == nullptr) detail::throw_no_fiber("yield()");
  if (self->unarmed_deadlines > 0 || self->cancel_pending.load(std::memory_order_relaxed))
    detail::deliver_cancellation(*self);
  if (self->suspends_forbidden > 0) detail::throw_may_not_suspend("yield");
  static_cast<detail::worker*>(here)->yield();
}

bool in_fiber() noexcept { return detail::current_fiber() != nullptr; }

namespace this_fiber {

std::uint64_t id() { return detail::require_fiber("this_fiber::id()").id; }

std::string name() {
  detail::control& self = detail::require_fiber("this_fiber::name()");
  return self.name == nullptr ? std::string() : std::string(self.name);
}

void set_name(std::string_view name) {
  detail::control& self = detail::require_fiber("this_fiber::set_name()");
  std::unique_ptr<char[]> replaced(detail::copy_name(name));
  {
    std::lock_guard<detail::spin_lock> hold(self.home->fibers.lock_of(self));
    char* before = self.name;
    self.name = replaced.release();
    replaced.reset(before);
  }
}

}  // namespace this_fiber

pin_guard::pin_guard() {
  detail::control& self = detail::require_fiber("pin_guard");
  if (self.pins++ == 0) self.pinned_to = detail::current_carrier();
}

pin_guard::~pin_guard() {
  detail::control* self = detail::current_fiber();
  if (--self->pins == 0) self->pinned_to = nullptr;
}

no_suspend_guard::no_suspend_guard() noexcept {
  if (detail::control* self = detail::current_fiber()) ++self->suspends_forbidden;
}

no_suspend_guard::~no_suspend_guard() {
  if (detail::control* self = detail::current_fiber()) --self->suspends_forbidden;
}

}  // namespace weft
