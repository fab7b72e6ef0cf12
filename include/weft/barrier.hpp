// std::barrier for fibers: phase after phase, nobody goes on before all have arrived.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/wait_room.hpp>

namespace weft {
namespace detail {

struct no_completion {
  void operator()() const noexcept {}
};

// What does not depend on the completion function.
class WEFT_API barrier_base {
 public:
  constexpr explicit barrier_base(std::ptrdiff_t expected)
      : expected_(static_cast<std::ptrdiff_t>(checked_count(expected, PTRDIFF_MAX))),
        left_(expected) {}

  // Counts n arrivals. Returns whether they were the last of the phase; then the caller has to call
  // complete(), which calls the completion function, shielded.
  bool arrive(std::ptrdiff_t n, std::ptrdiff_t dropped, std::uint64_t& phase);
  void complete(void (*completion)(void* it) noexcept, void* it) noexcept;
  void wait(std::uint64_t phase);

 private:
  wait_room room_;  // the number is that of the phase, and its lock guards the rest
  std::ptrdiff_t expected_;
  std::ptrdiff_t left_;
};

}  // namespace detail

// Everything is usable from any fiber or thread. Who was waiting for the last phase may destroy the
// barrier as soon as the wait returns.
template <class CompletionFunction = detail::no_completion>
class barrier {
  static_assert(std::is_nothrow_invocable_v<CompletionFunction&>,
                "weft::barrier: the completion function must be noexcept");

 public:
  // Proof of an arrival, to wait with.
  class arrival_token {
   public:
    arrival_token(arrival_token&&) noexcept = default;
    arrival_token& operator=(arrival_token&&) noexcept = default;

   private:
    friend barrier;
    explicit arrival_token(std::uint64_t phase) noexcept : phase_(phase) {}
    std::uint64_t phase_;
  };

  // Throws: std::logic_error if expected is negative, and what moving the function throws.
  constexpr explicit barrier(std::ptrdiff_t expected,
                             CompletionFunction completion = CompletionFunction())
      : base_(expected), completion_(std::move(completion)) {}
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  static constexpr std::ptrdiff_t max() noexcept { return PTRDIFF_MAX; }

  // Arrives n times. The last arrival of a phase calls the completion function, then lets the
  // waiters go. Parks only if that function does, to which cancellation is not delivered.
  // Throws: std::logic_error unless n is between 1 and what is missing.
  [[nodiscard]] arrival_token arrive(std::ptrdiff_t n = 1) { return count(n, 0); }

  // Waits for the end of the phase that the token is of.
  // Parks: until then.   Cancellation: throws cancelled, unless it has ended.
  void wait(arrival_token&& arrival) const { base_.wait(arrival.phase_); }

  // Both. Who is cancelled in the wait has arrived.
  void arrive_and_wait() { wait(arrive()); }

  // Arrives, and is not expected again.
  void arrive_and_drop() { (void)count(1, 1); }

 private:
  arrival_token count(std::ptrdiff_t n, std::ptrdiff_t dropped) {
    std::uint64_t phase = 0;
    if (base_.arrive(n, dropped, phase))
      base_.complete([](void* it) noexcept { (*static_cast<CompletionFunction*>(it))(); },
                     std::addressof(completion_));
    return arrival_token(phase);
  }

  mutable detail::barrier_base base_;
  CompletionFunction completion_;
};

}  // namespace weft
