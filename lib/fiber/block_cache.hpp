// Memory for control blocks with what stands behind them, in a few size classes.
// One cache a carrier, used by that thread only; a process-wide store evens them out in batches.
// (1) A block freed on another worker than it came from stays there: the store moves whole batches,
//     so neither side allocates once both are warm.
// (2) The store is bounded; what exceeds it goes back to operator delete.
#pragma once
#include <cstddef>
#include <cstdint>

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

  void* allocate(std::uint8_t size_class, std::size_t bytes);
  void release(void* block, std::uint8_t size_class) noexcept;

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

  free_list lists_[classes];
};

}  // namespace weft::detail
