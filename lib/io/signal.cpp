// Waiting for signals; see signal_hub.hpp for how they get here.
#include <weft/error.hpp>
#include <weft/signal.hpp>

#include "io/budget.hpp"
#include "io/signal_hub.hpp"

namespace weft {
namespace detail {

void signal_unsubscriber::operator()(signal_subscription* what) const noexcept { delete what; }

signal_subscription_owner listen_for_signals(const int* signals, std::size_t count) {
  return signal_subscription_owner(
      new signal_subscription(signals, count, signal_subscription::memory::own));
}

int wait_signal(const int* signals, std::size_t count) {
  require_fiber("wait_signal()");
  signal_subscription mine(signals, count, signal_subscription::memory::shared);
  return mine.next("wait_signal()");
}

}  // namespace detail

int signal_listener::next() {
  detail::require_fiber("signal_listener::next()");
  if (heard_ == nullptr)
    throw io_error(std::make_error_code(std::errc::bad_file_descriptor),
                   "cannot wait for signals: the listener was moved from");
  return heard_->next("signal_listener::next()");
}

}  // namespace weft
