// The two bounded queues of a worker. Both hold each fiber once, belong to one worker, and give to
// thieves.
//
// ready_ring: fibers that ran before, first in first out, so that everyone gets a turn.
//   (1) Only the owner writes tail and slots. Head moves by compare-exchange, owner and thieves
//       alike; a slot is read before the exchange and counts only if that succeeds.
//   (2) Thieves take half. A full ring moves its older half to the injector.
// fresh_deque: fibers that never ran, newest first for the owner (depth first: few are alive at a
// time, on one hot stack), oldest first for thieves (the largest pieces of work).
//   (3) The owner takes from the bottom, thieves and the owner's fairness from the top; they meet
//       only at the last element, where the exchange on top decides (Chase and Lev 2005, orders
//       after Le, Pop, Cohen, Nardelli 2013, with sequentially consistent operations in place of
//       fences, which ThreadSanitizer does not model).
// Of both:
//   (4) The owner's push comes before its look for a sleeper (idle.hpp), so it is sequentially
//       consistent. A queue that has no thieves, ever, is pushed to with memory_order_relaxed and
//       popped from by pop_unshared(): no locked instruction there.
// Indices are 32 bits and wrap; a queue would have to turn over 2^32 times within one stalled
// compare-exchange to fool it.
// Tests pass an Atomic whose every operation a model checker schedules, and a first index that soon
// wraps.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "sched/injector.hpp"

namespace weft::detail {

template <class T, std::uint32_t Capacity = 256, template <class> class Atomic = std::atomic>
class ready_ring {
 public:
  static_assert((Capacity & (Capacity - 1)) == 0 && Capacity / 2 <= batch<T>::room);

  explicit ready_ring(std::uint32_t first = 0) noexcept : head_{first}, tail_{first} {}

  // Owner. False if full; then take_half() first. See (4).
  template <std::memory_order Publish = std::memory_order_seq_cst>
  bool push(T* item) noexcept {
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) >= Capacity) return false;
    slot(tail).store(item, std::memory_order_relaxed);
    tail_.store(tail + 1, Publish);
    return true;
  }

  // Owner: all of them, if there is room. The ring is published once.
  bool push_all(const batch<T>& items) noexcept {
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    const auto count = static_cast<std::uint32_t>(items.size());
    if (tail + count - head_.load(std::memory_order_acquire) > Capacity) return false;
    for (std::uint32_t i = 0; i < count; ++i)
      slot(tail + i).store(items[i], std::memory_order_relaxed);
    tail_.store(tail + count, std::memory_order_seq_cst);  // as push()
    return true;
  }

  // The oldest, see (4).
  T* pop_unshared() noexcept {
    const std::uint32_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
    head_.store(head + 1, std::memory_order_relaxed);
    return slot(head).load(std::memory_order_relaxed);
  }

  // Owner or thief: the oldest.
  T* pop() noexcept {
    std::uint32_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      if (head == tail_.load(std::memory_order_acquire)) return nullptr;
      T* item = slot(head).load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        return item;
    }
  }

  // Owner: the older half, for elsewhere.
  batch<T> take_half() noexcept {
    batch<T> out;
    std::uint32_t head = head_.load(std::memory_order_acquire);
    const std::uint32_t count = (tail_.load(std::memory_order_relaxed) - head) / 2;
    if (count == 0 || !head_.compare_exchange_strong(head, head + count, std::memory_order_acq_rel))
      return out;  // a thief made room
    for (std::uint32_t i = 0; i < count; ++i)
      out.push(slot(head + i).load(std::memory_order_relaxed));
    return out;
  }

  // Thief, which owns `mine`, an empty ring: moves half over and returns one of them to run now.
  T* steal_half(ready_ring& mine) noexcept {
    const std::uint32_t to = mine.tail_.load(std::memory_order_relaxed);
    std::uint32_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      const std::uint32_t tail = tail_.load(std::memory_order_acquire);
      std::uint32_t count = tail - head;
      count -= count / 2;
      if (count == 0) return nullptr;
      if (count > Capacity / 2) {  // head and tail were not read at one moment
        head = head_.load(std::memory_order_acquire);
        continue;
      }
      for (std::uint32_t i = 0; i < count; ++i)
        mine.slot(to + i).store(slot(head + i).load(std::memory_order_relaxed),
                                std::memory_order_relaxed);
      if (!head_.compare_exchange_weak(head, head + count, std::memory_order_acq_rel,
                                       std::memory_order_acquire))
        continue;
      mine.tail_.store(to + count - 1, std::memory_order_release);
      return mine.slot(to + count - 1).load(std::memory_order_relaxed);
    }
  }

  std::uint32_t size() const noexcept {
    const std::uint32_t head = head_.load(std::memory_order_seq_cst);
    const std::uint32_t tail = tail_.load(std::memory_order_seq_cst);
    return tail - head > Capacity ? 0 : tail - head;
  }

 private:
  Atomic<T*>& slot(std::uint32_t at) noexcept { return slots_[at & (Capacity - 1)]; }

  alignas(64) Atomic<std::uint32_t> head_;
  alignas(64) Atomic<std::uint32_t> tail_;
  std::array<Atomic<T*>, Capacity> slots_{};
};

template <class T, std::uint32_t Capacity = 256, template <class> class Atomic = std::atomic>
class fresh_deque {
 public:
  static_assert((Capacity & (Capacity - 1)) == 0 && Capacity / 2 <= batch<T>::room);

  explicit fresh_deque(std::uint32_t first = 0) noexcept : top_{first}, bottom_{first} {}

  // Owner. False if full; then take_half() first. See (4).
  template <std::memory_order Publish = std::memory_order_seq_cst>
  bool push(T* item) noexcept {
    const std::uint32_t bottom = bottom_.load(std::memory_order_relaxed);
    if (distance(top_.load(std::memory_order_acquire), bottom) >= Capacity) return false;
    slot(bottom).store(item, std::memory_order_relaxed);
    bottom_.store(bottom + 1, Publish);
    return true;
  }

  // Owner: the newest.
  T* pop() noexcept {
    std::uint32_t bottom = bottom_.load(std::memory_order_relaxed);
    if (distance(top_.load(std::memory_order_relaxed), bottom) == 0) return nullptr;
    --bottom;
    bottom_.store(bottom, std::memory_order_seq_cst);  // pairs with the loads in steal()
    std::uint32_t top = top_.load(std::memory_order_seq_cst);
    if (distance(top, bottom) > 0) return slot(bottom).load(std::memory_order_relaxed);
    T* item = nullptr;
    if (top == bottom) {  // the last one: a thief may be at it
      item = slot(bottom).load(std::memory_order_relaxed);
      if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) item = nullptr;
    }
    bottom_.store(bottom + 1, std::memory_order_seq_cst);
    return item;
  }

  // The newest, see (4).
  T* pop_unshared() noexcept {
    const std::uint32_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
    if (distance(top_.load(std::memory_order_relaxed), bottom + 1) == 0) return nullptr;
    bottom_.store(bottom, std::memory_order_relaxed);
    return slot(bottom).load(std::memory_order_relaxed);
  }

  // Any thread: the oldest.
  T* steal() noexcept {
    std::uint32_t top = top_.load(std::memory_order_seq_cst);
    for (;;) {
      const std::uint32_t bottom = bottom_.load(std::memory_order_seq_cst);
      if (distance(top, bottom) == 0) return nullptr;
      T* item = slot(top).load(std::memory_order_relaxed);
      if (top_.compare_exchange_weak(top, top + 1, std::memory_order_seq_cst)) return item;
    }
  }

  // Owner: about the older half, for elsewhere.
  batch<T> take_half() noexcept {
    batch<T> out;
    for (std::uint32_t i = 0; i < Capacity / 2; ++i) {
      T* item = steal();
      if (item == nullptr) break;
      out.push(item);
    }
    return out;
  }

  std::uint32_t size() const noexcept {
    const std::uint32_t top = top_.load(std::memory_order_seq_cst);
    return distance(top, bottom_.load(std::memory_order_seq_cst));
  }

 private:
  // The owner lowers bottom below top for a moment when it takes from an empty deque.
  static std::uint32_t distance(std::uint32_t top, std::uint32_t bottom) noexcept {
    const auto count = static_cast<std::int32_t>(bottom - top);
    return count > 0 ? static_cast<std::uint32_t>(count) : 0;
  }

  Atomic<T*>& slot(std::uint32_t at) noexcept { return slots_[at & (Capacity - 1)]; }

  alignas(64) Atomic<std::uint32_t> top_;
  alignas(64) Atomic<std::uint32_t> bottom_;
  std::array<Atomic<T*>, Capacity> slots_{};
};

}  // namespace weft::detail
