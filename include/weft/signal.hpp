// Signals that fibers wait for.
//
//   weft::group server;
//   server.go([&] { weft::serve(listener, echo); });
//   weft::wait_signal({SIGINT, SIGTERM});
//   server.cancel();
//
// A signal that is waited for does not do any more what it does by default, such as ending the
// program: from the first wait_signal() for it until the last runtime has ended, and while a
// signal_listener for it lives. After that it does again what it did before. So a program that may
// be sent one at any time makes its signal_listener first. A handler that the program had installed
// before is called all the same; one that it installs later takes the signal away from weft.
// Signals that are blocked in all threads never come.
//
// As in POSIX signals are not counted: those of one number that come before anyone looks are one.
//
// For every call here:
// Throws: std::invalid_argument if there is no signal in the list, or one that cannot be waited
//   for: SIGKILL, SIGSTOP, the faults of a thread (SIGSEGV, SIGBUS, SIGFPE, SIGILL), no signal at
//   all. io_error if there is no descriptor left; a wait needs one.
#pragma once

#include <csignal>

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>

namespace weft {
namespace detail {

class signal_subscription;
struct signal_unsubscriber {
  WEFT_API void operator()(signal_subscription* what) const noexcept;
};
using signal_subscription_owner = std::unique_ptr<signal_subscription, signal_unsubscriber>;

WEFT_API int wait_signal(const int* signals, std::size_t count);
WEFT_API signal_subscription_owner listen_for_signals(const int* signals, std::size_t count);

template <class Signals>
using if_signals = decltype(static_cast<int>(*std::begin(std::declval<const Signals&>())));

}  // namespace detail

// Waits for one of these signals and returns it; of several that have come the one named first. All
// fibers that wait for a signal get it. If none does, the next wait_signal() for it gets it at
// once, provided that it came after the first wait for it.
// Parks: until one has come.   Cancellation: throws cancelled; no signal is lost.
// Throws: std::logic_error outside a fiber.
inline int wait_signal(std::initializer_list<int> signals) {
  return detail::wait_signal(signals.begin(), signals.size());
}
template <class Signals, class = detail::if_signals<Signals>>
int wait_signal(const Signals& signals) {
  const std::vector<int> list(std::begin(signals), std::end(signals));
  return detail::wait_signal(list.data(), list.size());
}

// Hears every signal of a set from its construction to its destruction; movable. For loops that do
// something between two signals, and for parts of a program that hear what others hear as well:
//
//   weft::signal_listener hang_ups{SIGHUP};
//   for (;;) { hang_ups.next(); reload(); }
class WEFT_API signal_listener {
 public:
  // Threads: any, also before there is a runtime; to destroy it, too.
  signal_listener(std::initializer_list<int> signals)
      : heard_(detail::listen_for_signals(signals.begin(), signals.size())) {}
  template <class Signals, class = detail::if_signals<Signals>>
  explicit signal_listener(const Signals& signals) {
    const std::vector<int> list(std::begin(signals), std::end(signals));
    heard_ = detail::listen_for_signals(list.data(), list.size());
  }

  // Returns a signal that has come since the listener was made, and that this call has not returned
  // yet; of several the one named first.
  // Parks: until one has come.   Cancellation: throws cancelled; no signal is lost.
  // Throws: io_error, std::errc::device_or_resource_busy, if another fiber waits in it;
  // std::errc::bad_file_descriptor if it was moved from; std::logic_error outside a fiber.
  int next();

 private:
  detail::signal_subscription_owner heard_;
};

}  // namespace weft
