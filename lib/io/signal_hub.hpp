// Who hears which signal. Fibers and threads subscribe and unsubscribe; the handler of the signals,
// on any thread and any stack and several times at once, counts and tells the subscribers.
//
// (1) The handler uses atomics and write() alone, and keeps errno. It takes no lock: it may have
//     interrupted the thread that holds it.
// (2) The handler counts first and looks for subscribers then; a subscriber enlists first and looks
//     at the counts then. So one of the two sees the other.
// (3) A subscription leaves the list, and then waits until no handler is inside, before its
//     descriptor and its memory go. The handler is inside for a few instructions and writes.
// (4) Everything else is guarded by the lock of the books.
// (5) What wait_signal() has returned is remembered for the whole process, what a listener has
//     returned in the listener. A signal is there if its count is another than the remembered one.
// (6) The program's own handler is called last. It may have been installed over ours, and pass on
// to
//     what was there before: then ours comes again with the same signal, and returns at once.
// Rejected: signalfd, for it wants the signals blocked in every thread of the program, also in
// those that were there before. A thread that waits in sigwait(), for the same reason. One
// descriptor for all: somebody would have to empty it after all others have seen it.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/file_calls.hpp"

namespace weft::detail {

inline constexpr int most_signals = 64;

class signal_subscription {
 public:
  enum class memory { own, shared };  // see (5)

  // Throws: std::invalid_argument, io_error.
  signal_subscription(const int* signals, std::size_t count, memory kind);
  ~signal_subscription();
  signal_subscription(const signal_subscription&) = delete;
  signal_subscription& operator=(const signal_subscription&) = delete;

  // Parks until a signal is there, and takes it.
  int next(const char* operation);

 private:
  friend struct signal_hub;

  int take() noexcept;  // 0: none

  const std::vector<int> signals_;
  const memory kind_;
  const std::uint64_t mask_;
  unique_fd wake_up_;                                // an eventfd
  std::atomic<signal_subscription*> next_{nullptr};  // written under the lock, read by the handler
  std::array<std::uint32_t, most_signals + 1> seen_{};
  bool fresh_ = true;  // has not looked at the counts yet
  std::atomic<bool> in_use_{false};
};

// The last runtime has ended: nobody will ask for what wait_signal() remembers.
void forget_signals() noexcept;

}  // namespace weft::detail
