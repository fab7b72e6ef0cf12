// One operation on one channel, and the core itself. See channel_core.hpp for the rules.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "fiber/park.hpp"
#include "sync/channel_core.hpp"

namespace weft::detail {
namespace {

// A channel takes a page for its values at first, or less if it never holds so many.
constexpr std::size_t first_ring_bytes = 4096;

std::size_t power_of_two_above(std::size_t least) noexcept {
  std::size_t power = 1;
  while (power < least) power *= 2;
  return power;
}

}  // namespace

// ---- the core

slot_ring::slot_ring(std::size_t slots, const slot_ops& ops)
    : bytes_(static_cast<unsigned char*>(
          ::operator new(slots* ops.bytes, std::align_val_t(ops.alignment)))),
      slots_(slots),
      ops_(&ops) {}

slot_ring::~slot_ring() {
  if (bytes_ != nullptr) ::operator delete(bytes_, std::align_val_t(ops_->alignment));
}

channel_core::channel_core(const slot_ops& how, std::size_t most) : ops(how), capacity(most) {}

channel_core::~channel_core() {
  if (ops.destroy == nullptr) return;
  for (std::size_t i = 0; i < count; ++i) ops.destroy(ring.at(first + i));
}

transfer channel_core::put(void* value, served_batch& served) noexcept {
  if (closed) return transfer::closed;
  if (party* receiver = receivers.serve_first(transfer::done, served)) {
    move_value(ops, receiver->value, value);
    return transfer::done;
  }
  if (count == capacity) return transfer::not_now;
  if (count == ring.slots()) return transfer::must_grow;
  move_value(ops, ring.at(first + count++), value);
  return transfer::done;
}

transfer channel_core::take(void* room, served_batch& served) noexcept {
  if (count == 0) {
    party* sender = senders.serve_first(transfer::done, served);
    if (sender == nullptr) return closed ? transfer::closed : transfer::not_now;
    move_value(ops, room, sender->value);
    return transfer::done;
  }
  if (ops.relocate == nullptr)
    copy_plain(ops.bytes, room, ring.at(first));
  else
    ops.relocate(room, ring.at(first));
  ++first;
  --count;
  if (party* sender = senders.serve_first(transfer::done, served))
    move_value(ops, ring.at(first + count++), sender->value);
  return transfer::done;
}

void channel_core::grow() {
  std::size_t wanted;
  {
    const std::lock_guard hold(lock);
    wanted = ring.slots() * 2;
  }
  const std::size_t at_first = std::max<std::size_t>(first_ring_bytes / ops.bytes, 1);
  if (wanted == 0) wanted = power_of_two_above(std::min(capacity, at_first));
  slot_ring larger(wanted, ops);  // the other way round, it frees the smaller one after the unlock
  const std::lock_guard hold(lock);
  if (ring.slots() >= wanted) return;  // someone else was faster
  for (std::size_t i = 0; i < count; ++i) {
    if (ops.relocate == nullptr)
      std::memcpy(larger.at(first + i), ring.at(first + i), ops.bytes);
    else
      ops.relocate(larger.at(first + i), ring.at(first + i));
  }
  ring.swap(larger);
}

// ---- one operation

namespace {

struct sending {
  static constexpr const char* name = "send";
  static party_list& queue(channel_core& core) noexcept { return core.senders; }
  static transfer attempt(channel_core& core, void* value, served_batch& served) noexcept {
    return core.put(value, served);
  }
};

struct receiving {
  static constexpr const char* name = "recv";
  static party_list& queue(channel_core& core) noexcept { return core.receivers; }
  static transfer attempt(channel_core& core, void* room, served_batch& served) noexcept {
    return core.take(room, served);
  }
};

// Without parking. Waiters that are woken go on once the lock is free.
template <class Way>
transfer attempt(channel_core& core, void* value) {
  for (;;) {
    transfer result;
    {
      served_batch served;
      const std::lock_guard hold(core.lock);
      result = Way::attempt(core, value, served);
    }
    if (result != transfer::must_grow) return result;
    core.grow();
  }
}

// With the lock held since the attempt, so that nothing has changed; gives it up.
template <class Way>
transfer wait(channel_core& core, void* value, nanos deadline, std::unique_lock<spin_lock>& hold) {
  parking wait(Way::name);
  party self(wait.self(), value);
  Way::queue(core).push(self);
  hold.unlock();
  const wake_reason why = wait.park_until(deadline);
  if (why == wake_reason::served) {
    self.await_claimer();
    return self.outcome;
  }
  {
    const std::lock_guard again(core.lock);
    wait_list::unlink(self);
  }
  if (why == wake_reason::cancelled) throw_cancelled();
  return transfer::not_now;
}

// With parking: cancellation comes first, also where nothing has to be waited for.
template <class Way>
transfer operate(channel_core& core, void* value, nanos deadline) {
  control* const self = current_fiber();
  if (self != nullptr && self->cancel_pending.load(std::memory_order_relaxed))
    deliver_cancellation(*self);
  for (;;) {
    transfer result;
    {
      served_batch served;
      std::unique_lock hold(core.lock);
      result = Way::attempt(core, value, served);
      const bool may_park = result == transfer::not_now && !has_passed(deadline);
      const bool to_arm = self != nullptr && self->unarmed_deadlines > 0 && may_interrupt(*self);
      if (may_park && !to_arm) return wait<Way>(core, value, deadline, hold);
      if (!may_park && result != transfer::must_grow) return result;
    }
    if (result == transfer::must_grow)
      core.grow();
    else
      arm_deadlines(*self);  // too much under a spin lock
  }
}

bool sent(transfer result) {
  if (result == transfer::closed) throw channel_closed();
  return result == transfer::done;
}

}  // namespace

void channel_send(channel_core* core, void* value) { sent(operate<sending>(*core, value, never)); }

bool channel_send_until(channel_core* core, void* value, std::int64_t deadline) {
  return sent(operate<sending>(*core, value, deadline));
}

bool channel_try_send(channel_core* core, void* value) {
  return sent(attempt<sending>(*core, value));
}

bool channel_recv(channel_core* core, void* room) {
  return operate<receiving>(*core, room, never) == transfer::done;
}

bool channel_recv_until(channel_core* core, void* room, std::int64_t deadline) {
  return operate<receiving>(*core, room, deadline) == transfer::done;
}

bool channel_try_recv(channel_core* core, void* room) {
  return attempt<receiving>(*core, room) == transfer::done;
}

// ---- the rest

channel_core* new_channel(const slot_ops& how, std::size_t capacity) {
  if (capacity > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / how.bytes)
    throw std::length_error("weft::channel: a capacity of " + std::to_string(capacity) +
                            " values is more than memory can hold");
  return new channel_core(how, capacity);
}

void retain_channel(channel_core* core) noexcept {
  core->handles.fetch_add(1, std::memory_order_relaxed);
}

void release_channel(channel_core* core) noexcept {
  // The last one sees all that the others did.
  if (core->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) delete core;
}

void close_channel(channel_core* core) noexcept {
  served_batch served;
  const std::lock_guard hold(core->lock);
  core->closed = true;
  while (core->receivers.serve_first(transfer::closed, served) != nullptr) {
  }
  while (core->senders.serve_first(transfer::closed, served) != nullptr) {
  }
}

bool channel_is_closed(channel_core* core) noexcept {
  const std::lock_guard hold(core->lock);
  return core->closed;
}

std::size_t channel_size(channel_core* core) noexcept {
  const std::lock_guard hold(core->lock);
  return core->count;
}

std::size_t channel_capacity(const channel_core* core) noexcept { return core->capacity; }

}  // namespace weft::detail
