// Work that may block, on a thread of libuv's pool.
// Called by fibers; the function runs on a pool thread, while the fiber is parked.
//
// (1) The fiber leaves only when the function has not begun or has returned, so the function may
//     use the fiber's frame and whatever the fiber's caller owns.
// (2) A result wins over a cancellation that came while the function ran. A long function looks at
//     stop_request between its steps.
// Rejected: uv_fs_*. One call of it is one trip to the pool; a function makes the whole of open,
// fstat, read and close one trip, and needs no copy of the path.
#pragma once
#include <atomic>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "fiber/park.hpp"

namespace weft::detail {

void run_in_file_pool(const char* what, void (*function)(void* argument) noexcept, void* argument);

// Returns what f returns. Throws: what f throws; cancelled if f has not begun.
template <class F>
auto in_file_pool(const char* what, F&& f) {
  using result = std::invoke_result_t<F&>;
  struct call {
    F& f;
    std::optional<result> value{};
    std::exception_ptr error{};

    static void run(void* self) noexcept {
      auto& me = *static_cast<call*>(self);
      try {
        me.value.emplace(me.f());
      } catch (...) {
        me.error = std::current_exception();
      }
    }
  } call{f};
  run_in_file_pool(what, &call::run, &call);
  if (call.error) std::rethrow_exception(std::move(call.error));
  return std::move(*call.value);
}

// Whether the fiber it was made on is to stop; may be asked by a pool thread while the fiber waits.
class stop_request {
 public:
  stop_request() noexcept = default;  // never
  explicit stop_request(const control& self) noexcept
      : pending_(may_interrupt(self) ? &self.cancel_pending : nullptr) {}

  explicit operator bool() const noexcept {
    return pending_ != nullptr && pending_->load(std::memory_order_relaxed);
  }

 private:
  const std::atomic<bool>* pending_ = nullptr;
};

}  // namespace weft::detail
