// The state that decides one wait exactly once, for fibers and for plain threads.
//
// (1) phase goes idle -> arming -> parked -> won, or arming -> won: who moves it to `won`, with one
//     compare-exchange, owns the wake-up; all others lost and do nothing.
// (2) arming means "still on its stack": the winner records the reason and enqueues nobody, since
//     the parker finds it before or right after it has left its stack. parked means "off its
//     stack": the winner must resume it.
// (3) The nudge bit tells a fiber that is running or arming to look at its cancel flag. Arming is
// an
//     exchange, so it either sees the nudge or the canceller sees the arming: none is missed.
// (4) A waker reaches a waitable only under the lock of the list it stands in, or as the canceller
//     under the fiber's own lock, and the waiter leaves those lists under the same lock before it
//     returns. So a claim never hits a later wait.
#pragma once
#include <atomic>
#include <cstdint>

namespace weft::detail {

// `served` is a `notified` that came with something: see sync/channel_core.hpp.
enum class wake_reason : std::uint32_t { notified, timed_out, cancelled, served };

struct waitable {
  static constexpr std::uint32_t phase_mask = 3, idle = 0, arming = 1, parked = 2, won = 3;
  static constexpr std::uint32_t reason_shift = 2, reason_mask = 3u << reason_shift;
  static constexpr std::uint32_t nudge = 1u << 4, interruptible = 1u << 5;

  explicit waitable(bool thread) noexcept : is_thread(thread) {}

  std::atomic<std::uint32_t> word{idle};
  const bool is_thread;

  static std::uint32_t won_word(wake_reason why) noexcept {
    return won | (static_cast<std::uint32_t>(why) << reason_shift);
  }
  static wake_reason reason_of(std::uint32_t word) noexcept {
    return static_cast<wake_reason>((word & reason_mask) >> reason_shift);
  }
};

enum class claim { lost, taken, must_resume };

// What others may do to the word. Templates, so that a model checker can pass a word of its own.

template <class Word>
claim claim_word(Word& word, wake_reason why) noexcept {
  std::uint32_t seen = word.load(std::memory_order_acquire);
  for (;;) {
    const std::uint32_t phase = seen & waitable::phase_mask;
    if (phase != waitable::arming && phase != waitable::parked) return claim::lost;
    // Pairs with the exchange and compare-exchange of the parker: what the waker wrote is seen.
    if (word.compare_exchange_weak(seen, waitable::won_word(why), std::memory_order_acq_rel,
                                   std::memory_order_acquire))
      return phase == waitable::parked ? claim::must_resume : claim::taken;
  }
}

// Canceller: ends an interruptible wait, or leaves the nudge for a fiber that does not wait.
template <class Word>
claim interrupt_word(Word& word) noexcept {
  std::uint32_t seen = word.load(std::memory_order_acquire);
  for (;;) {
    const std::uint32_t phase = seen & waitable::phase_mask;
    const bool waits = phase == waitable::arming || phase == waitable::parked;
    const bool wins = waits && (seen & waitable::interruptible) != 0;
    const std::uint32_t next =
        wins ? waitable::won_word(wake_reason::cancelled) : (seen | waitable::nudge);
    // Pairs with the arming exchange in parking: it sees the nudge, and then cancel_pending.
    if (!word.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                    std::memory_order_acquire))
      continue;
    if (!wins) return claim::lost;
    return phase == waitable::parked ? claim::must_resume : claim::taken;
  }
}

// The context that runs after the parker left its stack: arming -> parked. False if the wait was
// won meanwhile; then nobody else resumes the parker.
template <class Word>
bool publish_parked(Word& word) noexcept {
  std::uint32_t seen = word.load(std::memory_order_acquire);
  while ((seen & waitable::phase_mask) != waitable::won) {
    // Pairs with claim_word(): whoever sees `parked` may resume, for the stack is free now.
    if (word.compare_exchange_weak(seen, seen + (waitable::parked - waitable::arming),
                                   std::memory_order_acq_rel, std::memory_order_acquire))
      return true;
  }
  return false;
}

// Tries to end the wait for this reason.
inline claim try_claim(waitable& who, wake_reason why) noexcept {
  return claim_word(who.word, why);
}

// Puts a claimed waiter back to work. Call it after the last access to anything the waiter may
// free.
void resume(waitable& who) noexcept;

// Both steps, where no lock stands between them.
inline bool wake(waitable& who, wake_reason why = wake_reason::notified) noexcept {
  const claim got = try_claim(who, why);
  if (got == claim::must_resume) resume(who);
  return got != claim::lost;
}

}  // namespace weft::detail
