// From functions that call back to functions that return.
//
//   int size = weft::await_callback<int>([&](weft::completer<int> done) {
//     fetch_async(url, [done](int n) { done(n); });
//   });
//
// A C library gives back a void*, to be made into a completer in the callback:
//
//   void on_done(int n, void* user) { weft::completer<int>::from(user)(n); }
//   ...
//   weft::await_callback<int>([&](weft::completer<int> done) {
//     fetch_start(url, on_done, std::move(done).release());
//   });
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <weft/detail/completion.hpp>

namespace weft {

// Ends the wait of one await_callback<T>. Copies end the same wait: the first call counts, all
// later ones do nothing, also when the waiter has long gone. Not for signal handlers.
template <class T>
class completer {
 public:
  completer() noexcept = default;

  // Gives the result. Returns whether this was the first call.   Never parks.   Threads: any.
  // Throws: what moving T throws, and then it did not count; std::future_error if it is empty.
  bool operator()(detail::passed<T> value) const {
    return state_->complete(std::forward<detail::passed<T>>(value));
  }
  template <class U = T, class = std::enable_if_t<std::is_void_v<U>>>
  bool operator()() const {
    return state_->complete();
  }

  // Makes the waiter throw this.
  bool fail(std::exception_ptr error) const { return state_->fail(std::move(error)); }

  // For C: this copy as a pointer, which from() must take back exactly once.
  void* release() && noexcept { return static_cast<void*>(state_.release()); }
  static completer from(void* released) noexcept {
    completer taken;
    taken.state_ =
        detail::completion_sender<T>::adopt(static_cast<detail::completion_of<T>*>(released));
    return taken;
  }

  explicit operator bool() const noexcept { return state_.get() != nullptr; }

 private:
  template <class R, class Start>
  friend R await_callback(Start&& start);
  explicit completer(detail::completion_of<T>* of) noexcept : state_(of) {}

  detail::completion_sender<T> state_;
};

// Calls start(completer<T>) and waits until one of its copies is called; returns what that gave.
// Parks: until then.   Cancellation: throws cancelled at once; a completion that comes later is
// dropped, so what `done` refers to otherwise must outlive the wait or be owned by the callback. A
// result that is there already is returned.   Threads: any; a plain thread blocks.
// Throws: what fail() was given; what start throws; std::future_error with broken_promise when all
// completers are gone and none was called.
template <class T, class Start>
T await_callback(Start&& start) {
  detail::completion_ref<T> state(new detail::completion_of<T>);
  std::forward<Start>(start)(completer<T>(state.get()));
  state->wait_until("callback", INT64_MAX);
  return state->take();
}

}  // namespace weft
