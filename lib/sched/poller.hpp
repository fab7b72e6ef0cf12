// Where a worker without fibers sleeps. The reactor implements it over libuv, tests over a virtual
// clock; the scheduler knows only this.
#pragma once
#include "base/clock.hpp"

namespace weft::detail {

class poller {
 public:
  virtual ~poller() = default;

  // Its own worker: handles what is ready, and sleeps until something is, until wake(), or until
  // the deadline. A deadline in the past means: look, do not sleep.
  virtual void poll(nanos until) noexcept = 0;

  // Any thread: makes the present or the next poll() return soon.
  virtual void wake() noexcept = 0;

  // Any thread, for a worker that is stuck in user code: handles what is ready, if it can be done
  // safely. Returns whether it was.
  virtual bool poll_for_owner() noexcept = 0;

  virtual nanos now() noexcept = 0;
};

}  // namespace weft::detail
