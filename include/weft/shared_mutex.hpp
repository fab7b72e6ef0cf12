// std::shared_mutex for fibers: one writer, or any number of readers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <weft/detail/deadline.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {

// Usable from fibers of any runtime and from plain threads at once, with std::unique_lock,
// std::shared_lock and the like. Who has to wait does so in order, readers behind writers too: so
// neither starves. Cancellation is not delivered here, as users of std expect.
// The next owner may destroy it at once. Destroying a locked one ends the program with a message.
// A reader that asks for the exclusive lock waits for ever, as with std.
class WEFT_API shared_mutex {
 public:
  constexpr shared_mutex() noexcept = default;
  ~shared_mutex() {
    if (room_.word.load(std::memory_order_relaxed) != 0) destroyed_in_use();
  }

  // Parks: while somebody else has it.
  // Throws: std::system_error (resource_deadlock_would_occur) if the caller has it exclusively.
  void lock();
  void lock_shared();

  // Never park.
  bool try_lock() noexcept;
  bool try_lock_shared() noexcept;

  // Take it if that is possible in this time. Return whether they did.
  template <class Rep, class Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> limit) {
    return try_lock() || lock_before(false, detail::deadline_in(limit));
  }
  template <class Rep, class Period>
  bool try_lock_shared_for(std::chrono::duration<Rep, Period> limit) {
    return try_lock_shared() || lock_before(true, detail::deadline_in(limit));
  }
  template <class Clock, class Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> when) {
    return detail::attempt_until(
        when, [this](std::int64_t deadline) { return lock_before(false, deadline); });
  }
  template <class Clock, class Duration>
  bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> when) {
    return detail::attempt_until(
        when, [this](std::int64_t deadline) { return lock_before(true, deadline); });
  }

  // Throws: std::system_error (operation_not_permitted) if the caller does not have it exclusively;
  // if nobody has it shared.
  void unlock();
  void unlock_shared();

 private:
  struct access;

  bool lock_before(bool shared, std::int64_t deadline);
  [[noreturn]] void destroyed_in_use() noexcept;

  detail::wait_room room_;
  std::atomic<std::uintptr_t> owner_{0};  // who has it exclusively
};

using shared_timed_mutex = shared_mutex;

}  // namespace weft
