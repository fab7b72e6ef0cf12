// The state that decides one wait exactly once, for fibers and for plain threads.
//
// (1) Waits are numbered. While the word has the number of a wait, that wait is undecided; who
//     moves the word on to the next number, with one compare-exchange, owns the wake-up; all others
//     lost and do nothing. So a wait begins without a write to the word, and costs two locked
//     instructions in all: one who parks, one who wakes.
// (2) A wait that is claimed before it is `parked` is still on its stack: the winner records the
//     reason and enqueues nobody, since the parker finds it before or right after it has left its
//     stack. parked means "off its stack": the winner must resume it.
// (3) The nudge bit tells a fiber that is not parked to look at its cancel flag. A canceller sets
//     the flag, then the nudge or ends the wait; to be parked the word must be seen with the nudge:
//     so either the parker sees the flag, or the canceller sees it parked.
// (4) A waker reaches a waitable only under the lock of the list it stands in, or as the canceller
//     under the fiber's own lock, and the waiter leaves those lists under the same lock before it
//     returns. So `wait` is not written while a waker may read it, and a claim never hits a later
//     wait.
#pragma once
#include <atomic>
#include <cstdint>

namespace weft::detail {

// `served` is a `notified` that came with something: see sync/channel_core.hpp.
enum class wake_reason : std::uint32_t { notified, timed_out, cancelled, served };

struct waitable {
  static constexpr std::uint32_t parked = 1, interruptible = 2, nudge = 4;  // the first two at once
  static constexpr std::uint32_t reason_shift = 3, reason_mask = 3u << reason_shift;
  static constexpr std::uint32_t one_wait = 32;

  explicit waitable(bool thread) noexcept : is_thread(thread) {}

  std::atomic<std::uint32_t> word{0};
  std::uint32_t wait = 0;           // the number of the wait that has begun; the waiter's
  bool wants_interruption = false;  // of that wait
  const bool is_thread;

  static std::uint32_t number_of(std::uint32_t word) noexcept { return word & ~(one_wait - 1); }
  static wake_reason reason_of(std::uint32_t word) noexcept {
    return static_cast<wake_reason>((word & reason_mask) >> reason_shift);
  }
  static std::uint32_t decided(std::uint32_t wait, wake_reason why) noexcept {
    return (wait + one_wait) | (static_cast<std::uint32_t>(why) << reason_shift);
  }

  // By the waiter itself, before anyone can reach it.
  void begin_wait(bool may_be_interrupted) noexcept {
    wait = number_of(word.load(std::memory_order_relaxed));
    wants_interruption = may_be_interrupted;
  }
  bool undecided() const noexcept {  // pairs with claim_word()
    return number_of(word.load(std::memory_order_acquire)) == wait;
  }
};

// A mark that stands where a waiter could: no wait has begun in it, so every claim of it is lost.
struct nobodys_waitable : waitable {
  nobodys_waitable() noexcept : waitable(true) { wait = number_of(word) + one_wait; }
};

enum class claim { lost, taken, must_resume };

// What is done to the word. Templates, so that a model checker can pass a word of its own.

template <class Word>
claim claim_word(Word& word, std::uint32_t wait, wake_reason why) noexcept {
  std::uint32_t seen = word.load(std::memory_order_acquire);
  for (;;) {
    if (waitable::number_of(seen) != wait) return claim::lost;
    const std::uint32_t next = waitable::decided(wait, why) | (seen & waitable::nudge);
    // Pairs with publish_parked() and undecided(): what the waker wrote is seen.
    if (word.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                   std::memory_order_acquire))
      return (seen & waitable::parked) != 0 ? claim::must_resume : claim::taken;
  }
}

// Canceller, after it has set the cancel flag: ends an interruptible wait of a parked fiber, or
// leaves the nudge. True if the fiber must be resumed.
template <class Word>
bool interrupt_word(Word& word) noexcept {
  std::uint32_t seen = word.load(std::memory_order_acquire);
  for (;;) {
    const bool wins = (seen & waitable::interruptible) != 0;
    const std::uint32_t next =
        wins ? waitable::decided(waitable::number_of(seen), wake_reason::cancelled)
             : (seen | waitable::nudge);
    // Pairs with publish_parked(), which sees the nudge, and then the flag.
    if (word.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                   std::memory_order_acquire))
      return wins;
  }
}

// The context that runs after the waiter has left its stack says so. False if the wait has been
// decided, be it here, because cancel_pending() says that it is to be cancelled: then nobody else
// resumes the waiter.
template <class Word, class CancelPending>
bool publish_parked(Word& word, std::uint32_t wait, bool may_be_interrupted,
                    const CancelPending& cancel_pending) noexcept {
  const std::uint32_t off_its_stack =
      wait | waitable::parked | (may_be_interrupted ? waitable::interruptible : 0);
  std::uint32_t seen = word.load(std::memory_order_acquire);
  while (waitable::number_of(seen) == wait) {
    const bool stop = (seen & waitable::nudge) != 0 && may_be_interrupted && cancel_pending();
    const std::uint32_t next =
        stop ? waitable::decided(wait, wake_reason::cancelled) : off_its_stack;
    // Pairs with claim_word(): whoever sees `parked` may resume, for the stack is free now. From
    // here on the waiter may be gone. A nudge that did not count is dropped: who waits next looks
    // at the flag itself.
    if (word.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                   std::memory_order_acquire))
      return !stop;
  }
  return false;
}

// Tries to end the wait for this reason.
inline claim try_claim(waitable& who, wake_reason why) noexcept {
  return claim_word(who.word, who.wait, why);
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
