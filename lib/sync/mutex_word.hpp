// The word of weft::mutex: who owns it, and what the next owner has to know.
// Used by mutex.cpp, and by the model checker with an atomic of its own.
//
// (1) The upper bits are the owner's identity, 0 if it is free. Who changes them from 0 to its own
//     identity, or finds that someone else did so for it, owns the mutex; nobody else changes them
//     then, until the owner does.
// (2) `queued`: somebody waits in the list. `list_locked`: somebody is at the list, the owner or
//     one who wants to join or leave. Either can be set while the mutex is free.
// (3) `woken`: one waiter, the heir, was taken off the list and is on its way to try. Then
//     release() wakes nobody else. Only the owner sets it. The heir clears it, as it takes the
//     mutex, goes back to the list or gives up; or an owner does that makes it the next owner.
// (4) Not (free and `queued` and not `woken`), except while somebody is at the list: who joins does
//     so in one step with seeing an owner, and an owner that leaves sees it. So nobody waits for a
//     mutex that nobody will release.
// (5) Overtaking is allowed: who comes takes a free mutex, though others wait. An owner that lets
//     go with the heir still on its way counts that; past `most_passes` it makes the heir the next
//     owner instead. A waiter that was woken in vain `most_in_vain` times becomes the next owner at
//     once. So the first waiter is overtaken a bounded number of times, whatever the others do.
// (6) heir and passes belong to the owner, like the data that the mutex protects.
// (7) The last access of release is the step that makes the mutex free or another one's, and no
//     waiter goes on before (see wait_queue.hpp). So the next owner may destroy the mutex.
// Rejected, with figures in docs/decisions.md: handing over at every release (each costs a switch),
// and spinning before one parks (the cache line then moves with each lock).
#pragma once
#include <atomic>
#include <cstdint>

namespace weft::detail {

inline constexpr std::uint32_t most_passes = 64;
inline constexpr unsigned most_in_vain = 2;

// The limits are parameters for the model checker's sake.
template <class Word, std::uint32_t MostPasses = most_passes>
struct mutex_word {
  using number = std::uintptr_t;
  static constexpr number queued = 1, list_locked = 2, woken = 4, owner_mask = ~number{7};

  mutex_word(Word& of, number& with_heir, std::uint32_t& with_passes) noexcept
      : word(of), heir(with_heir), passes(with_passes) {}

  Word& word;
  number& heir;
  std::uint32_t& passes;

  static number owner_of(number seen) noexcept { return seen & owner_mask; }

  enum class otherwise { leave_it, give_up, join };  // what to do if it is another one's
  enum class entry { owned, not_owned, at_list, list_busy };

  // Takes the mutex if it is free. The heir, with whose coming `woken` ends, may find that it owns
  // it. at_list: the caller holds the list to put itself in, and then calls free_list().
  entry enter(number self, bool as_heir, otherwise then) noexcept {
    const number over = as_heir ? woken : 0;
    number seen = word.load(std::memory_order_acquire);  // pairs with release() and hand_over()
    for (;;) {
      if (as_heir && owner_of(seen) == self) return entry::owned;
      const bool free = owner_of(seen) == 0;
      number next = (seen & ~over) | self;
      if (!free) {
        if (then == otherwise::leave_it) return entry::not_owned;
        if (then == otherwise::join && (seen & list_locked) != 0) return entry::list_busy;
        next = (seen & ~over) | (then == otherwise::join ? queued | list_locked : 0);
      }
      // Acquire: pairs with who freed it, or the list.
      if (!word.compare_exchange_weak(seen, next, std::memory_order_acquire,
                                      std::memory_order_acquire))
        continue;
      if (!free) return then == otherwise::join ? entry::at_list : entry::not_owned;
      if (as_heir) passes = 0;
      return entry::owned;
    }
  }

  // To leave the list before one's time.
  bool try_lock_list() noexcept {
    return (word.fetch_or(list_locked, std::memory_order_acquire) & list_locked) == 0;
  }

  // Who joined or left is done with the list.
  void free_list(bool empty) noexcept {
    word.fetch_and(~(empty ? list_locked | queued : list_locked), std::memory_order_release);
  }

  enum class exit { done, not_owner, at_list, list_busy };

  // The owner lets go. at_list: there is somebody to wake, and the caller still owns the mutex and
  // holds the list, until it calls wake() or hand_over().
  exit release(number self) noexcept {
    number seen = word.load(std::memory_order_relaxed);
    if (owner_of(seen) != self) return exit::not_owner;
    const std::uint32_t passed = passes;
    for (;;) {
      number next = seen & ~owner_mask;
      exit how = exit::done;
      if ((seen & woken) != 0) {
        passes = passed < MostPasses ? passed + 1 : 0;
        if (passes == 0) next = (next & ~woken) | heir;
      } else if ((seen & queued) != 0) {
        if ((seen & list_locked) != 0) return exit::list_busy;
        next = seen | list_locked;
        how = exit::at_list;
      }
      // Release: pairs with enter(). Acquire: for the list, pairs with free_list().
      if (word.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed))
        return how;
    }
  }

  // Nobody else changes the word while the owner holds the list and there is no heir. So these are
  // plain stores; release pairs with enter().

  // Frees mutex and list. `next` was taken off the list to try; 0 if nobody was left.
  void wake(number next, bool more) noexcept {
    heir = next;
    word.store((more ? queued : 0) | (next != 0 ? woken : 0), std::memory_order_release);
  }

  // `next`, which was taken off the list, owns the mutex now.
  void hand_over(number next, bool more) noexcept {
    passes = 0;
    word.store(next | (more ? queued : 0), std::memory_order_release);
  }
};

}  // namespace weft::detail
