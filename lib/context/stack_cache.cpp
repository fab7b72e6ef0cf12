// See stack_cache.hpp.
#include "context/stack_cache.hpp"

#include <mutex>
#include <utility>

#include "base/never_destroyed.hpp"

namespace weft::detail {
namespace {

struct cache_list {
  std::mutex lock;
  intrusive_list<stack_cache> caches;
};

cache_list& all_caches() noexcept {
  static never_destroyed<cache_list> only;
  return only.get();
}

}  // namespace

stack_cache::stack_cache(std::uint8_t size_class) noexcept : size_class_(size_class) {
  cache_list& known = all_caches();
  std::lock_guard<std::mutex> hold(known.lock);
  known.caches.push_back(*this);
}

stack_cache::~stack_cache() {
  cache_list& known = all_caches();
  std::lock_guard<std::mutex> hold(known.lock);
  intrusive_list<stack_cache>::erase(*this);
  while (stack* done = hot_) {
    hot_ = done->next;
    stacks::release(done);
  }
}

stack* stack_cache::take_slowly(std::uint8_t size_class) noexcept {
  if (size_class != size_class_) return stacks::acquire(size_class);
  const std::size_t got = stacks::acquire_hot(size_class, batch, &hot_);
  if (got == 0) return stacks::acquire(size_class);
  stack* first = std::exchange(hot_, hot_->next);
  set_size(got - 1);
  return first;
}

void stack_cache::put_slowly(stack* done) noexcept {
  if (done->size_class != size_class_) return stacks::release(done);
  // The coldest half goes.
  stack* last_kept = hot_;
  for (std::size_t i = 1; i < limit / 2; ++i) last_kept = last_kept->next;
  stack* first = std::exchange(last_kept->next, nullptr);
  stack* last = first;
  while (last->next != nullptr) last = last->next;
  stacks::release_list(first, last, limit - limit / 2);
  done->next = hot_;
  hot_ = done;
  set_size(limit / 2 + 1);
}

std::size_t stack_cache::total() noexcept {
  std::size_t cached = 0;
  cache_list& known = all_caches();
  std::lock_guard<std::mutex> hold(known.lock);
  known.caches.for_each([&cached](const stack_cache& each) { cached += each.size(); });
  return cached;
}

}  // namespace weft::detail
