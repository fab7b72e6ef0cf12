// Memory for control blocks with what stands behind them, in a few size classes.
// One cache a carrier, used by that thread only; a process-wide store evens them out in batches.
// (1) A block freed on another worker than it came from stays there: the store moves whole batches,
//     so neither side allocates once both are warm.
// (2) The store is bounded; what exceeds it goes back to operator delete.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

class block_cache {
 public:
  static constexpr std::size_t classes = 4;
  static constexpr std::uint8_t unpooled = classes;

  block_cache() = default;
  block_cache(const block_cache&) = delete;
  block_cache& operator=(const block_cache&) = delete;
  ~block_cache();

  static std::uint8_t class_for(std::size_t bytes) noexcept;

  void* allocate(std::uint8_t size_class, std::size_t bytes) {
    if (size_class == unpooled || lists_[size_class].first == nullptr)
      return refill(size_class, bytes);
    free_list& list = lists_[size_class];
    free_block* block = list.first;
    list.first = block->next;
    --list.count;
    return block;
  }
  void release(void* block, std::uint8_t size_class) noexcept {
    if (size_class == unpooled) return release_shared(block, size_class);
    free_list& list = lists_[size_class];
    list.first = ::new (block) free_block{list.first};
    if (++list.count == cache_limit) give_away(size_class);
  }

  // For threads that have no cache.
  static void* allocate_shared(std::uint8_t size_class, std::size_t bytes);
  static void release_shared(void* block, std::uint8_t size_class) noexcept;

 private:
  struct free_block {
    free_block* next;
  };
  struct free_list {
    free_block* first = nullptr;
    std::size_t count = 0;
  };

  static constexpr std::size_t batch = 128;  // blocks that move between a cache and the store
  static constexpr std::size_t cache_limit = 4 * batch;

  void* refill(std::uint8_t size_class, std::size_t bytes);
  void give_away(std::uint8_t size_class) noexcept;

  free_list lists_[classes];
};

}  // namespace weft::detail
