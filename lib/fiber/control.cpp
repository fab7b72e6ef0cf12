// Life and end of a control block; see control.hpp.
#include "fiber/control.hpp"

#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <weft/error.hpp>

#include "fiber/shield.hpp"

namespace weft::detail {
namespace {

void free_block(control& fiber) noexcept {
  const std::uint8_t memory_class = fiber.memory_class;
  delete[] fiber.name;
  if (fiber.storage.context != nullptr) drop_context(fiber.storage);  // it never ran
  fiber.~control();
  if (carrier* here = current_carrier())
    here->blocks.release(&fiber, memory_class);
  else
    block_cache::release_shared(&fiber, memory_class);
}

void end_fiber(control& fiber) noexcept {
  fiber_home& home = *fiber.home;
  {
    wake_batch wakes;
    std::lock_guard<spin_lock> hold(fiber.lock);
    fiber.done.store(true, std::memory_order_release);  // pairs with task_done()
    fiber.root.requested = false;  // what its result or a handler does here is not interrupted
    fiber.cancel_pending.store(false, std::memory_order_relaxed);
    fiber.joiners.claim_all(wakes);
  }
  if (fiber.group != nullptr) {
    fiber.group->child_ended(*fiber.group, fiber);
    fiber.group = nullptr;  // it may be gone
  }
  if (fiber.failed.error == nullptr && fiber.ops->drop_result == nullptr) {
    home.fibers.remove(fiber);
    drop_reference(fiber);
  } else {
    // A handler, or the destructor of the result, may park or start fibers: still one of us.
    const std::uint16_t shard = home.fibers.unlist(fiber);
    drop_reference(fiber);
    home.fibers.count_off(shard);
  }
  home.fiber_ended();
}

}  // namespace

control& require_fiber(const char* operation) {
  control* self = current_fiber();
  if (self == nullptr) throw_no_fiber(operation);
  return *self;
}

void throw_no_fiber(const char* operation) {
  throw std::logic_error(std::string("weft::") + operation +
                         " needs a fiber: call it inside weft::run() or a function given to "
                         "weft::go() or runtime::go()");
}

std::size_t describe_running_fiber(char* to, std::size_t room) noexcept {
  const control* self = current_fiber();
  char digits[24];
  char* at = digits + sizeof digits;
  std::size_t used = 0;
  auto append = [&](const char* text, std::size_t count) {
    count = count < room - used ? count : room - used;
    std::memcpy(to + used, text, count);
    used += count;
  };
  if (self == nullptr) {
    append("a plain thread", 14);
    return used;
  }
  std::uint64_t id = self->id;
  do *--at = static_cast<char>('0' + id % 10);
  while ((id /= 10) != 0);
  append("fiber ", 6);
  append(at, static_cast<std::size_t>(digits + sizeof digits - at));
  if (self->name == nullptr) return used;
  append(" \"", 2);
  append(self->name, std::strlen(self->name));
  append("\"", 1);
  return used;
}

void add_reference(control& fiber) noexcept {
  fiber.references.fetch_add(1, std::memory_order_relaxed);
}

void drop_reference(control& fiber) noexcept {
  if (!drop_one(fiber.references)) return;
  const failure& lost = fiber.failed;
  if (lost.error != nullptr && !fiber.failure_received) {
    const failure_handlers& to = *lost.handlers;
    const failure_handler& handler = fiber.failed_after_sibling ? to.also_failed : to.unhandled;
    handler(fiber.name != nullptr ? fiber.name : "", lost.error);
  }
  if (fiber.started && fiber.ops->drop_result != nullptr)
    fiber.ops->drop_result(payload_of(&fiber));
  free_block(fiber);
}

void ignore_failure(control& fiber) noexcept {
  std::lock_guard<spin_lock> hold(fiber.lock);
  fiber.failure_received = true;
}

void run_to_end(control& fiber) noexcept {
  if (fiber.cancel_pending.load(std::memory_order_relaxed)) {
    const fiber_shield here(&fiber);  // destructors may park
    fiber.ops->discard(payload_of(&fiber));
    fiber.ended_by_cancel = true;
  } else {
    fiber.started = true;
    try {
      fiber.ops->run(payload_of(&fiber));
    } catch (const cancelled&) {
      fiber.ended_by_cancel = true;
    } catch (...) {
      fiber.failed = {std::current_exception(), fiber.home->handlers};
    }
  }
  if (!fiber.storage.empty()) drop_storage(fiber);
  end_fiber(fiber);
}

void end_unstarted(control& fiber, std::exception_ptr why) noexcept {
  fiber.ops->discard(payload_of(&fiber));
  fiber.failed = {std::move(why), fiber.home->handlers};
  end_fiber(fiber);
}

}  // namespace weft::detail
