// The queue all workers share: what plain threads submit and what overflows from full queues.
// First in first out; workers take batches, so its lock is rare.
#pragma once
#include <atomic>
#include <mutex>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"

namespace weft::detail {

template <class T>
class injector {
 public:
  void push(T* item) noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    items_.push(item);
    size_.store(items_.size(), std::memory_order_seq_cst);  // before the look for a sleeper
  }

  void push(intrusive_queue<T>&& batch) noexcept {
    if (batch.empty()) return;
    std::lock_guard<spin_lock> hold(lock_);
    items_.append(batch);
    size_.store(items_.size(), std::memory_order_seq_cst);
  }

  // Up to `most`, oldest first.
  intrusive_queue<T> take(std::size_t most) noexcept {
    intrusive_queue<T> out;
    if (size() == 0) return out;
    std::lock_guard<spin_lock> hold(lock_);
    while (out.size() < most) {
      T* item = items_.pop();
      if (item == nullptr) break;
      out.push(item);
    }
    size_.store(items_.size(), std::memory_order_seq_cst);
    return out;
  }

  std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

 private:
  spin_lock lock_;
  intrusive_queue<T> items_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace weft::detail
