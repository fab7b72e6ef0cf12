// A channel without its type: a queue of values, who waits to send, who waits to receive.
// Called by channel.cpp for one operation and by select.cpp for several channels at once; from any
// thread, fiber or not.
//
// (1) Everything but the count of handles is guarded by lock. put() and take() are called with it
//     held and move values under it: a value's move must not park, throw, or use the channel.
// (2) A waiter's value stays in the frame that waits. Who completes its operation claims it as
//     `served`, moves the value and notes the outcome, all in one hold of the lock: so an operation
//     is done exactly if its wait was won by `served`; a cancelled or timed-out one moved nothing.
// (3) After the unlock the claimer says `left`, and resumes the waiter if it was parked. One that
//     was still arming goes on by itself, and waits for `left` before it looks at the outcome or
//     leaves its frame. That takes no longer than a spin lock is held.
// (4) So once an operation is done on one side, neither side touches the core any more, and either
//     may drop the last handle, also while the other has not returned. A waiter that was served
//     takes no lock, therefore; a select, which has to, keeps a handle of each channel meanwhile.
// (5) Receivers wait only while the queue is empty, senders only while it is full; dead nodes aside
//     (claimed otherwise, not unlinked yet), they never wait at the same time. A value that is
//     taken makes room for the first sender's, which joins the queue at once: values stay in order.
// (6) The ring grows by doubling, outside the lock but for the moving of what it holds.
// Rejected: waking a waiter to try again by itself. It would have to queue anew behind others, and
// each value would cost two wake-ups when someone else is faster.
#pragma once
#include <atomic>
#include <cstring>
#include <mutex>
#include <weft/channel.hpp>

#include "base/intrusive_list.hpp"
#include "base/short_wait.hpp"
#include "base/spin_lock.hpp"
#include "fiber/wait_list.hpp"

namespace weft::detail {

// One wait for one channel, in the frame of the one who waits.
struct party : wait_node {
  party(waitable& waiter, void* at) noexcept : wait_node(waiter), value(at) {}

  void* const value;                     // what is sent, or raw room for what is received
  transfer outcome = transfer::not_now;  // guarded by the channel's lock until left
  bool was_parked = false;               // the claimer's
  std::atomic<bool> left{false};         // release in served_batch, acquire in await_claimer()

  // When this returns the frame is the waiter's alone again.
  void await_claimer() const noexcept {
    for (short_wait wait; !left.load(std::memory_order_acquire);) wait.once();
  }
};

// Those who were served, to be told once the lock is free: see (3). Declare it before the lock.
class served_batch {
 public:
  served_batch() = default;
  served_batch(const served_batch&) = delete;
  served_batch& operator=(const served_batch&) = delete;
  ~served_batch() {
    while (first_ != nullptr) {
      party& next = *static_cast<party*>(first_);
      first_ = next.next;
      waitable& who = *next.who;
      const bool was_parked = next.was_parked;
      next.left.store(true, std::memory_order_release);  // now it may be gone, if not parked
      if (was_parked) resume(who);
    }
  }

  void add(party& served) noexcept {
    served.next = nullptr;
    *end_ = &served;
    end_ = &served.next;
  }

 private:
  list_hook* first_ = nullptr;
  list_hook** end_ = &first_;
};

class party_list {
 public:
  bool empty() const noexcept { return parties_.empty(); }
  void push(party& last) noexcept { parties_.push_back(last); }

  // Serves the first that nobody else has claimed. Its value is the caller's to move until the lock
  // is released.
  party* serve_first(transfer how, served_batch& batch) noexcept {
    while (party* first = parties_.pop_front()) {
      const claim got = try_claim(*first->who, wake_reason::served);
      if (got == claim::lost) continue;
      first->outcome = how;
      first->was_parked = got == claim::must_resume;
      batch.add(*first);
      return first;
    }
    return nullptr;
  }

 private:
  intrusive_list<party> parties_;
};

// Room for values, a power of two of them. Whoever owns it says which slots are filled.
class slot_ring {
 public:
  slot_ring() noexcept = default;
  slot_ring(std::size_t slots, const slot_ops& ops);
  slot_ring(slot_ring&& other) noexcept { swap(other); }
  slot_ring& operator=(const slot_ring&) = delete;
  ~slot_ring();

  void swap(slot_ring& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(slots_, other.slots_);
    std::swap(ops_, other.ops_);
  }
  std::size_t slots() const noexcept { return slots_; }
  void* at(std::size_t index) const noexcept {
    return bytes_ + (index & (slots_ - 1)) * ops_->bytes;
  }

 private:
  unsigned char* bytes_ = nullptr;
  std::size_t slots_ = 0;
  const slot_ops* ops_ = nullptr;
};

struct channel_core {
  channel_core(const slot_ops& how, std::size_t most);
  channel_core(const channel_core&) = delete;
  channel_core& operator=(const channel_core&) = delete;
  ~channel_core();

  // All of these under the lock.
  bool may_put() const noexcept { return closed || count < capacity || !receivers.empty(); }
  bool may_take() const noexcept { return closed || count > 0 || !senders.empty(); }
  transfer put(void* value, served_batch& served) noexcept;
  transfer take(void* room, served_batch& served) noexcept;

  // Without the lock. Throws std::bad_alloc.
  void grow();

  const slot_ops& ops;
  const std::size_t capacity;
  std::atomic<std::size_t> handles{1};

  spin_lock lock;
  bool closed = false;
  std::size_t count = 0;  // values in the ring, from `first` on; indices run on and wrap in at()
  std::size_t first = 0;
  slot_ring ring;
  party_list receivers;
  party_list senders;
};

// Most plain values are an integer or a pointer.
inline void copy_plain(std::size_t bytes, void* to, const void* from) noexcept {
  if (bytes == 8)
    std::memcpy(to, from, 8);
  else if (bytes == 4)
    std::memcpy(to, from, 4);
  else
    std::memcpy(to, from, bytes);
}

inline void move_value(const slot_ops& ops, void* to, void* from) noexcept {
  if (ops.move == nullptr)
    copy_plain(ops.bytes, to, from);
  else
    ops.move(to, from);
}

}  // namespace weft::detail
