// An event that is set or not, as asyncio.Event: waiters wait while it is not.
//
//   weft::event ready;
//   weft::go([&] { load(); ready.set(); }).detach();
//   ready.wait();
#pragma once

#include <chrono>

#include <weft/detail/deadline.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {

// Everything is usable from any fiber or thread. A waiter may destroy the event as soon as its wait
// returns.
class WEFT_API event {
 public:
  constexpr event() noexcept = default;

  // Sets it and lets all waiters go on; what was written before is seen by them.
  void set() noexcept;

  // Waits that begin from now on wait again. Those that set() let go are not called back.
  void reset() noexcept;

  bool is_set() const noexcept;

  // Waits until it is set.
  // Parks: while it is not.   Cancellation: throws cancelled, unless it is set.
  void wait();

  // The same for at most this long. Returns whether it was set.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) {
    return is_set() || wait_until_deadline(detail::deadline_in(limit));
  }
  template <class Clock, class Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> when) {
    return detail::attempt_until(
        when, [this](std::int64_t deadline) { return wait_until_deadline(deadline); });
  }

 private:
  bool wait_until_deadline(std::int64_t deadline);

  detail::wait_room room_;
};

}  // namespace weft
