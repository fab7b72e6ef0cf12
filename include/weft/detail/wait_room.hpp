// What a class that fibers wait for consists of: a number, and the queue of those who wait.
// Only the library looks inside; see lib/sync/wait_queue.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <weft/detail/config.hpp>

namespace weft::detail {

struct wait_room {
  static constexpr std::uint64_t locked = 1;   // somebody is at the queue
  static constexpr std::uint64_t waiters = 2;  // the queue is not empty
  static constexpr unsigned value_shift = 2;
  static constexpr std::uint64_t most = UINT64_MAX >> (value_shift + 1);

  constexpr wait_room() noexcept = default;
  constexpr explicit wait_room(std::uint64_t value) noexcept : word(value << value_shift) {}
  wait_room(const wait_room&) = delete;
  wait_room& operator=(const wait_room&) = delete;

  std::atomic<std::uint64_t> word{0};
  alignas(void*) unsigned char queue[2 * sizeof(void*)] = {};  // meaningful if `waiters` is set
};

[[noreturn]] WEFT_API void throw_bad_count();

// What a latch and the like start with. Throws std::logic_error.
constexpr std::uint64_t checked_count(std::ptrdiff_t count, std::ptrdiff_t most) {
  if (count < 0 || count > most) throw_bad_count();
  return static_cast<std::uint64_t>(count);
}

}  // namespace weft::detail
