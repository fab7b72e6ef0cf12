// Cancellation and deadlines.
//
// Cancellation is a request. Every parking call delivers it by throwing weft::cancelled, again and
// again until the cancelled scope has ended; never while an exception unwinds the fiber, and not
// inside a shield.
#pragma once

#include <chrono>
#include <cstddef>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/error.hpp>
#include <weft/go.hpp>

namespace weft {
namespace detail {

// A scope in the frame that opens it; strictly nested. Room for the library's own type.
class WEFT_API scope_frame {
 public:
  enum class kind { shield, deadline };
  explicit scope_frame(kind what, std::int64_t deadline = 0);
  ~scope_frame();
  scope_frame(const scope_frame&) = delete;
  scope_frame& operator=(const scope_frame&) = delete;

  // Whether this scope's deadline, and no request from further out, is what ended the call.
  bool converts() const noexcept;

 private:
  alignas(std::max_align_t) unsigned char room_[144];
};

}  // namespace detail

// Postpones cancellation: parking calls in its lifetime do not throw cancelled.
// Throws: std::logic_error outside a fiber.
class shield {
 public:
  shield() : frame_(detail::scope_frame::kind::shield) {}

 private:
  detail::scope_frame frame_;
};

// Throws cancelled if the calling fiber is to stop; never parks.
WEFT_API void check_cancelled();

// Whether the calling fiber is to stop.
WEFT_API bool cancel_requested() noexcept;

// Calls f; every parking call in it, however deep, ends at the deadline. Deadlines nest and the
// earliest wins. In a destructor that runs while an exception unwinds the fiber it has no effect,
// as nothing is delivered there.
// Returns what f returns. Throws: timed_out once the deadline has passed and f has really stopped;
// what f throws; std::logic_error outside a fiber.
template <class F>
decltype(auto) with_deadline(std::chrono::steady_clock::time_point when, F&& f) {
  detail::scope_frame frame(detail::scope_frame::kind::deadline,
                            detail::to_nanoseconds(when.time_since_epoch()));
  try {
    return std::forward<F>(f)();
  } catch (const cancelled&) {
    if (!frame.converts()) throw;
  }
  throw timed_out();
}

template <class Rep, class Period, class F>
decltype(auto) with_timeout(std::chrono::duration<Rep, Period> limit, F&& f) {
  const std::int64_t when = detail::deadline_in(limit);
  return with_deadline(std::chrono::steady_clock::time_point(
                           std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                               std::chrono::nanoseconds(when))),
                       std::forward<F>(f));
}

}  // namespace weft
