// Spawning fibers, and the handle by which one waits for them.
//
//   auto answer = weft::go([] { weft::sleep(1s); return 42; });
//   std::cout << answer.join();
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <weft/detail/deadline.hpp>
#include <weft/detail/task.hpp>
#include <weft/error.hpp>

namespace weft {

class group;
class runtime;
template <class R>
class fiber;

namespace detail {

template <class R>
fiber<R> adopt_task(control* task) noexcept;

// What every handle can do, whatever its fiber returns.
class WEFT_API fiber_handle {
 public:
  fiber_handle() noexcept = default;
  fiber_handle(fiber_handle&& other) noexcept
      : task_(std::exchange(other.task_, nullptr)), joined_(std::exchange(other.joined_, false)) {}
  fiber_handle& operator=(fiber_handle&& other) noexcept {
    if (this != &other) {
      detach();
      task_ = std::exchange(other.task_, nullptr);
      joined_ = std::exchange(other.joined_, false);
    }
    return *this;
  }
  ~fiber_handle() { detach(); }

  // Waits until the fiber has ended, and leaves its result or exception where it is.
  // Parks: until then.   Cancellation: of the caller, throws cancelled.   Threads: any.
  void wait() const { wait_task(valid()); }

  // The same for at most this long; returns whether the fiber has ended.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) const;

  // Whether the fiber has ended. Never parks.
  bool done() const { return task_done(valid()); }

  // Asks the fiber to stop: its parking calls throw weft::cancelled from now on. A fiber that has
  // not started never will. Idempotent; no effect on a fiber that has ended.   Threads: any.
  void cancel() const { cancel_task(valid()); }

  // Lets the fiber go on by itself; the handle refers to nothing afterwards.
  void detach() noexcept {
    if (task_ != nullptr) release_task(std::exchange(task_, nullptr));
  }

  // Unique in the process, and never reused.
  std::uint64_t id() const { return task_id(valid()); }

  // Whether the handle refers to a fiber.
  explicit operator bool() const noexcept { return task_ != nullptr; }

 protected:
  explicit fiber_handle(control* task) noexcept : task_(task) {}

  control* valid() const;
  control* collect();  // waits, then rethrows or leaves the result to be taken; once

  control* task_ = nullptr;
  bool joined_ = false;

 private:
  friend control* task_of(const fiber_handle& from);
};

// Throws std::logic_error if it refers to nothing.
inline control* task_of(const fiber_handle& from) { return from.valid(); }

}  // namespace detail

// Refers to a fiber that returns R. Destroying the handle detaches the fiber.
template <class R>
class fiber : public detail::fiber_handle {
 public:
  fiber() noexcept = default;

  // Gives the fiber's result, or rethrows what it threw; at most once.
  // Parks: until the fiber has ended.   Cancellation: of the caller, throws cancelled, and the
  // result can still be joined.   Threads: any.
  // Throws: fiber_cancelled if the fiber was cancelled, but cancelled if the caller is to stop as
  // well; std::logic_error when called twice, by the fiber itself, by a child of its groups, or on
  // a handle that refers to nothing.
  R join() {
    detail::control* task = this->collect();
    if constexpr (!std::is_void_v<R>) {
      auto& result = *static_cast<detail::result_part<R>*>(detail::payload_of(task));
      if constexpr (std::is_reference_v<R>)
        return static_cast<R>(*result.value());
      else
        return std::move(result.value());
    }
  }

 private:
  friend fiber detail::adopt_task<R>(detail::control*) noexcept;
  using fiber_handle::fiber_handle;
};

namespace detail {

template <class R>
fiber<R> adopt_task(control* task) noexcept {
  return fiber<R>(task);
}

template <class F, class... Args>
using result_of_call = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;

template <class T>
inline constexpr bool is_callable_task = !std::is_same_v<std::decay_t<T>, fiber_options>;

}  // namespace detail

template <class Rep, class Period>
bool detail::fiber_handle::wait_for(std::chrono::duration<Rep, Period> limit) const {
  return wait_task_for(valid(), to_nanoseconds(limit));
}

// Starts f(args...) as a fiber of the calling fiber's runtime; it may run on any worker.
// Callable and arguments are decay-copied, as by std::thread, so what they refer to must outlive
// it. Throws: std::logic_error outside a fiber, std::bad_alloc.
template <class F, class... Args, class = std::enable_if_t<detail::is_callable_task<F>>>
fiber<detail::result_of_call<F, Args...>> go(F&& f, Args&&... args) {
  using result = detail::result_of_call<F, Args...>;
  detail::control* task =
      detail::make_task<result>(nullptr, {}, std::forward<F>(f), std::forward<Args>(args)...);
  detail::start_task(task);
  return detail::adopt_task<result>(task);
}

// The same with a name or a stack size of its own.
template <class F, class... Args>
fiber<detail::result_of_call<F, Args...>> go(const fiber_options& options, F&& f, Args&&... args) {
  using result = detail::result_of_call<F, Args...>;
  detail::control* task =
      detail::make_task<result>(nullptr, options, std::forward<F>(f), std::forward<Args>(args)...);
  detail::start_task(task);
  return detail::adopt_task<result>(task);
}

// Lets other ready fibers run first. A cancellation point.
// Throws: cancelled; std::logic_error outside a fiber.
WEFT_API void yield();

// Whether the caller is a fiber.
WEFT_API bool in_fiber() noexcept;

namespace this_fiber {

WEFT_API std::uint64_t id();
WEFT_API std::string name();
WEFT_API void set_name(std::string_view name);

}  // namespace this_fiber

// Keeps the calling fiber on its worker while it lives, for code that depends on the thread.
// Nests. Throws: std::logic_error outside a fiber.
class WEFT_API pin_guard {
 public:
  pin_guard();
  ~pin_guard();
  pin_guard(const pin_guard&) = delete;
  pin_guard& operator=(const pin_guard&) = delete;
};

// Says that the calling fiber must not park while it lives: around code that holds a std::mutex or
// uses a thread_local. A parking call then throws std::logic_error, which names fiber and call,
// where it would have parked; yield() too. Nests. Outside a fiber it does nothing.
// Destructors that park, a group's say, cannot throw: there the process ends with that message.
class WEFT_API no_suspend_guard {
 public:
  no_suspend_guard() noexcept;
  ~no_suspend_guard();
  no_suspend_guard(const no_suspend_guard&) = delete;
  no_suspend_guard& operator=(const no_suspend_guard&) = delete;
};

}  // namespace weft
