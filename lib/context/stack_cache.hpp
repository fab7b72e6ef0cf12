// Some hot stacks of one class beside a worker, so that it seldom needs the pool's lock.
// Used by the worker's own thread.
#pragma once
#include <atomic>

#include "base/intrusive_list.hpp"
#include "context/stack.hpp"

namespace weft::detail {

class stack_cache : public list_hook {
 public:
  explicit stack_cache(std::uint8_t size_class) noexcept;
  ~stack_cache();
  stack_cache(const stack_cache&) = delete;
  stack_cache& operator=(const stack_cache&) = delete;

  // As stacks::acquire() and release(), for all classes.
  stack* take(std::uint8_t size_class) noexcept {
    if (size_class != size_class_ || hot_ == nullptr) return take_slowly(size_class);
    stack* got = hot_;
    hot_ = got->next;
    set_size(size() - 1);
    return got;
  }

  void put(stack* done) noexcept {
    if (done->size_class != size_class_ || size() >= limit) return put_slowly(done);
    done->next = hot_;
    hot_ = done;
    set_size(size() + 1);
  }

  // How many all caches of the process hold. Any thread.
  static std::size_t total() noexcept;

 private:
  static constexpr std::size_t limit = 64;
  static constexpr std::size_t batch = 32;

  stack* take_slowly(std::uint8_t size_class) noexcept;
  void put_slowly(stack* done) noexcept;
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  void set_size(std::size_t now) noexcept { size_.store(now, std::memory_order_relaxed); }

  const std::uint8_t size_class_;
  stack* hot_ = nullptr;
  std::atomic<std::size_t> size_{0};  // written by the owner alone
};

}  // namespace weft::detail
