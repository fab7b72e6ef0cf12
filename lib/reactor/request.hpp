// One request of the loop's that ends in a callback (work for a thread of its pool), as a wait.
//
// (1) The request and its buffers belong to the fiber's frame, so the fiber leaves only after the
//     callback ran. Cancellation asks libuv to drop what has not begun; what has begun is awaited.
// (2) A result that came first wins over the cancellation.
#pragma once
#include <uv.h>

#include <mutex>
#include <utility>

#include "base/spin_lock.hpp"
#include "fiber/park.hpp"
#include "reactor/loop.hpp"

namespace weft::detail {

// Request: uv_work_t, uv_fs_t, ...
template <class Request>
class uv_wait {
 public:
  Request request{};

  // start(uv_loop_t*, Request*) begins it and returns libuv's code; its callback must call
  // finish().
  // Returns the code of the start, or 0 once the callback has run. The request's own result is
  // then UV_ECANCELED if cancellation came before it had begun.
  // Throws: cancelled, if nothing was begun at all.
  template <class Start>
  int run(const char* what, Start&& start) {
    struct begin_task : loop::task {
      uv_wait* self = nullptr;
      std::remove_reference_t<Start>* start = nullptr;
    } begin;
    begin.self = this;
    begin.start = &start;
    begin.run = [](loop::task& task, loop& on) noexcept {
      auto& me = static_cast<begin_task&>(task);
      uv_wait& self = *me.self;
      self.request.data = &self;
      on.note_busy(1);
      self.code_ = (*me.start)(on.uv(), &self.request);
      if (self.code_ != 0) self.finish();
    };
    {
      parking wait(what);
      waiter_ = &wait.self();
      on_ = &loop::current();
      on_->execute(begin);
      const bool notified = wait.park() == wake_reason::notified;
      // A fiber claimed before it was off its stack gets here while notify() still holds the lock,
      // which lies in our frame: it must let go first.
      std::lock_guard<spin_lock> hold(lock_);
      if (notified) return code_;
      waiter_ = nullptr;
    }
    drop_.self = this;
    drop_.run = [](loop::task& task, loop&) noexcept {
      uv_wait& self = *static_cast<drop_task&>(task).self;
      // With access, so no callback runs now.
      if (!self.finished_) uv_cancel(reinterpret_cast<uv_req_t*>(&self.request));
      self.notify(self.dropped_);
    };
    on_->execute(drop_);  // after `begin`, by the order of tasks
    for (;;) {
      parking wait(what, cancellation::ignored);
      {
        std::lock_guard<spin_lock> hold(lock_);
        if (finished_ && dropped_) {
          wait.abandon();
          return code_;
        }
        waiter_ = &wait.self();
      }
      wait.park();
    }
  }

  // From the callback, with access.
  void finish() noexcept {
    on_->note_busy(-1);
    notify(finished_);
  }

  static uv_wait& of(Request* request) noexcept { return *static_cast<uv_wait*>(request->data); }

 private:
  struct drop_task : loop::task {
    uv_wait* self = nullptr;
  };

  void notify(bool& flag) noexcept {
    claim got = claim::lost;
    waitable* who = nullptr;
    {
      std::lock_guard<spin_lock> hold(lock_);
      flag = true;
      who = std::exchange(waiter_, nullptr);
      if (who != nullptr) got = try_claim(*who, wake_reason::notified);
    }
    if (got == claim::must_resume) resume(*who);
  }

  loop* on_ = nullptr;
  int code_ = 0;
  spin_lock lock_;
  waitable* waiter_ = nullptr;
  bool finished_ = false;
  bool dropped_ = false;
  drop_task drop_;
};

}  // namespace weft::detail
