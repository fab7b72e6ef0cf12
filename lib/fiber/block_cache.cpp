// See block_cache.hpp.
#include "fiber/block_cache.hpp"

#include <atomic>
#include <mutex>
#include <new>
#include <weft/detail/task.hpp>

#include "base/never_destroyed.hpp"

namespace weft::detail {
namespace {

// Captures of up to 64 bytes and a small result fit the first class.
constexpr std::size_t class_bytes[block_cache::classes] = {
    control_bytes + 56, control_bytes + 184, control_bytes + 440, control_bytes + 952};

constexpr std::size_t store_limit = 256;  // batches a class keeps: 32,768 blocks

struct chain {
  void* first = nullptr;
  std::size_t count = 0;
};

struct shared_store {
  std::mutex lock;
  chain batches[block_cache::classes][store_limit];
  std::atomic<std::size_t> count[block_cache::classes] = {};  // under the lock; a glance without
};

shared_store& store() noexcept {
  static never_destroyed<shared_store> only;
  return only.get();
}

}  // namespace

std::uint8_t block_cache::class_for(std::size_t bytes) noexcept {
  std::uint8_t size_class = 0;
  while (size_class < classes && class_bytes[size_class] < bytes) ++size_class;
  return size_class;
}

void* block_cache::refill(std::uint8_t size_class, std::size_t bytes) {
  if (size_class == unpooled) return ::operator new(bytes);
  shared_store& from = store();
  if (from.count[size_class].load(std::memory_order_relaxed) == 0)
    return ::operator new(class_bytes[size_class]);
  {
    std::lock_guard<std::mutex> hold(from.lock);
    if (from.count[size_class] == 0) return ::operator new(class_bytes[size_class]);
    const chain got = from.batches[size_class][--from.count[size_class]];
    lists_[size_class] = {static_cast<free_block*>(got.first), got.count};
  }
  return allocate(size_class, bytes);
}

void block_cache::give_away(std::uint8_t size_class) noexcept {
  free_list& list = lists_[size_class];
  chain out;
  for (; out.count < batch; ++out.count) {
    free_block* moved = list.first;
    list.first = moved->next;
    moved->next = static_cast<free_block*>(out.first);
    out.first = moved;
  }
  list.count -= batch;
  {
    shared_store& to = store();
    std::lock_guard<std::mutex> hold(to.lock);
    if (to.count[size_class] < store_limit) {
      to.batches[size_class][to.count[size_class]++] = out;
      return;
    }
  }
  for (auto* at = static_cast<free_block*>(out.first); at != nullptr;) {
    free_block* after = at->next;
    ::operator delete(at);
    at = after;
  }
}

block_cache::~block_cache() {
  for (free_list& list : lists_) {
    while (list.first != nullptr) {
      free_block* after = list.first->next;
      ::operator delete(list.first);
      list.first = after;
    }
  }
}

void* block_cache::allocate_shared(std::uint8_t size_class, std::size_t bytes) {
  return ::operator new(size_class == unpooled ? bytes : class_bytes[size_class]);
}

void block_cache::release_shared(void* block, std::uint8_t) noexcept { ::operator delete(block); }

}  // namespace weft::detail
