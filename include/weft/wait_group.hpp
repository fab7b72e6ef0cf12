// Waits until everything that was announced is done, as Go's sync.WaitGroup.
//
//   weft::wait_group pending;
//   for (auto& each : jobs) {
//     pending.add(1);
//     weft::go([&] { each(); pending.done(); }).detach();
//   }
//   pending.wait();
#pragma once

#include <cstddef>

#include <weft/detail/config.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {

// Everything is usable from any fiber or thread. A waiter may destroy it as soon as its wait
// returns, and it may be used again after it has come to zero.
class WEFT_API wait_group {
 public:
  constexpr wait_group() noexcept = default;

  // Announces n more, or takes -n back.   Throws: std::logic_error if the count would be negative.
  void add(std::ptrdiff_t n);

  // One of them is done.   Throws: std::logic_error if none was left.
  void done() { add(-1); }

  // Waits until the count is zero.
  // Parks: until then.   Cancellation: throws cancelled, unless it is zero.
  void wait();

 private:
  detail::wait_room room_;
};

}  // namespace weft
