// promise and future as in <future>, for fibers and plain threads in any combination: a fiber that
// waits parks, a thread blocks.
//
//   weft::promise<int> answer;
//   std::thread asked([&] { answer.set_value(42); });
//   int n = answer.get_future().get();
//
// Misuse throws std::future_error with the codes of <future>: no_state, future_already_retrieved,
// promise_already_satisfied, broken_promise.
#pragma once

#include <chrono>
#include <exception>
#include <future>
#include <type_traits>
#include <utility>

#include <weft/detail/completion.hpp>
#include <weft/detail/deadline.hpp>

namespace weft {

template <class T>
class future;
template <class T>
class shared_future;

namespace detail {

// What both kinds of future have.
template <class T>
class future_base {
 public:
  bool valid() const noexcept { return state_.get() != nullptr; }

  // Whether the result is there.
  bool ready() const { return state_->ready(); }

  // Waits for the result, and leaves it where it is.
  // Parks: until it is there.   Cancellation: throws cancelled unless it is there.   Threads: any.
  void wait() const { state_->wait_until("future", no_deadline); }

  // The same for at most so long.
  template <class Rep, class Period>
  std::future_status wait_for(std::chrono::duration<Rep, Period> limit) const {
    return status(state_->wait_until("future", deadline_in(limit)));
  }
  template <class Clock, class Duration>
  std::future_status wait_until(std::chrono::time_point<Clock, Duration> when) const {
    return status(attempt_until(
        when, [this](std::int64_t deadline) { return state_->wait_until("future", deadline); }));
  }

 protected:
  future_base() noexcept = default;
  explicit future_base(completion_ref<T> of) noexcept : state_(std::move(of)) {}

  static std::future_status status(bool ready) noexcept {
    return ready ? std::future_status::ready : std::future_status::timeout;
  }

  completion_ref<T> state_;
};

}  // namespace detail

// The one receiver of a result. Move-only.
template <class T>
class future : public detail::future_base<T> {
 public:
  future() noexcept = default;
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  // Waits for the result and takes it, or throws what the promise was given. Afterwards the future
  // is no longer valid, except when the wait was cancelled.   Otherwise as wait().
  T get() {
    this->wait();
    detail::completion_ref<T> last = std::move(this->state_);
    return last->take();
  }

  shared_future<T> share() noexcept;

 private:
  template <class>
  friend class promise;
  using detail::future_base<T>::future_base;
};

// One of several receivers of a result, which stays where it is. Copyable.
template <class T>
class shared_future : public detail::future_base<T> {
 public:
  using result = std::conditional_t<std::is_void_v<T> || std::is_reference_v<T>, T,
                                    std::add_lvalue_reference_t<const T>>;

  shared_future() noexcept = default;
  shared_future(future<T>&& from) noexcept : shared_future(from.share()) {}

  // Waits for the result; as future::get(), but it may be called again.
  result get() const {
    this->wait();
    this->state_->rethrow();
    if constexpr (std::is_reference_v<T>)
      return static_cast<T>(*this->state_->value());
    else if constexpr (!std::is_void_v<T>)
      return this->state_->value();
  }

 private:
  friend class future<T>;
  using detail::future_base<T>::future_base;
};

template <class T>
shared_future<T> future<T>::share() noexcept {
  return shared_future<T>(std::move(this->state_));
}

// The sender of one result. Move-only. When it goes without having sent, the future gets
// broken_promise.   Threads: any; setting never parks.
template <class T>
class promise {
 public:
  promise() : state_(fresh()) {}
  promise(promise&& other) noexcept
      : state_(std::move(other.state_)), retrieved_(std::exchange(other.retrieved_, false)) {}
  promise& operator=(promise&& other) noexcept {
    promise(std::move(other)).swap(*this);
    return *this;
  }
  void swap(promise& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(retrieved_, other.retrieved_);
  }

  // Once.
  future<T> get_future() {
    detail::completion_of<T>* state = state_.operator->();
    if (std::exchange(retrieved_, true))
      throw std::future_error(std::future_errc::future_already_retrieved);
    state->add_reference();
    return future<T>(detail::completion_ref<T>(state));
  }

  // Throws: promise_already_satisfied, also after set_exception(); what moving T throws.
  void set_value(detail::passed<T> value) {
    check(state_->complete(std::forward<detail::passed<T>>(value)));
  }
  template <class U = T, class = std::enable_if_t<std::is_void_v<U>>>
  void set_value() {
    check(state_->complete());
  }
  void set_exception(std::exception_ptr error) { check(state_->fail(std::move(error))); }

 private:
  static detail::completion_sender<T> fresh() {
    const detail::completion_ref<T> made(new detail::completion_of<T>);
    return detail::completion_sender<T>(made.get());
  }
  static void check(bool first) {
    if (!first) throw std::future_error(std::future_errc::promise_already_satisfied);
  }

  detail::completion_sender<T> state_;
  bool retrieved_ = false;
};

}  // namespace weft
