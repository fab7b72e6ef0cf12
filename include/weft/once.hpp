// std::call_once for fibers: the others park while one initialises.
#pragma once

#include <functional>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {

class once_flag;

namespace detail {
// True: the caller has to do it, and to call end_once(). False: it has been done.
WEFT_API bool begin_once(once_flag& flag);
WEFT_API void end_once(once_flag& flag, bool done) noexcept;
}  // namespace detail

class WEFT_API once_flag {
 public:
  constexpr once_flag() noexcept = default;

 private:
  friend bool detail::begin_once(once_flag& flag);
  friend void detail::end_once(once_flag& flag, bool done) noexcept;

  detail::wait_room room_;
};

// Calls f(args...) once for this flag. If it throws, the exception goes to its caller and the next
// one tries; a fiber that is cancelled in it counts as one that threw.
// Parks: while another call is at it.   Cancellation: throws cancelled, unless it has been done.
// Threads: any, fiber or not.
// Throws: what f throws; std::system_error (resource_deadlock_would_occur) if f calls this for the
// same flag.
template <class F, class... Args>
void call_once(once_flag& flag, F&& f, Args&&... args) {
  if (!detail::begin_once(flag)) return;
  struct ending {
    once_flag& flag;
    bool done = false;
    ~ending() { detail::end_once(flag, done); }
  } end{flag};
  std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  end.done = true;
}

}  // namespace weft
