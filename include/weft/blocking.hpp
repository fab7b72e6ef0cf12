// Calls that block a thread, without stopping the fibers.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/error.hpp>

namespace weft {
namespace detail {
WEFT_API void run_blocking(void (*run)(void* what) noexcept, void* what);
}  // namespace detail

// Runs f on a thread of the runtime's pool and parks until it has returned; its result or exception
// comes back. f may use the caller's locals. At most options::blocking_threads run at once, more
// wait. Cancellation: throws cancelled if f has not begun; once begun, f is waited for and its
// result given. Throws: what f throws; std::logic_error outside a fiber; std::system_error if no
// thread can be had.
template <class F>
std::invoke_result_t<F&> blocking(F&& f) {
  using result = std::invoke_result_t<F&>;
  using stored = std::conditional_t<
      std::is_void_v<result>, bool,
      std::conditional_t<std::is_reference_v<result>, std::add_pointer_t<result>, result>>;
  struct call {
    std::remove_reference_t<F>& f;
    std::optional<stored> value{};
    std::exception_ptr error{};

    static void run(void* self) noexcept {
      call& me = *static_cast<call*>(self);
      try {
        if constexpr (std::is_void_v<result>) {
          me.f();
        } else if constexpr (std::is_reference_v<result>) {
          me.value.emplace(std::addressof(me.f()));
        } else {
          me.value.emplace(me.f());
        }
      } catch (...) {
        me.error = std::current_exception();
      }
    }
  } call{f};
  detail::run_blocking(&call::run, &call);
  if (call.error) std::rethrow_exception(call.error);
  if constexpr (std::is_reference_v<result>)
    return static_cast<result>(**call.value);
  else if constexpr (!std::is_void_v<result>)
    return std::move(*call.value);
}

}  // namespace weft
