// Stacks: carved from large reserved slabs, guarded, reused hottest first.
// Any thread may acquire and release. One pool a process: slabs are never unmapped, only emptied.
//
// (1) The lowest page of a stack is a guard, see guard.hpp.
// (2) The descriptor lives in the top page of the stack itself, which a running fiber touches
//     anyway: a parked fiber costs one page.
// (3) A "hot" stack keeps its memory. trim() gives the memory of stacks that stayed unused back to
//     the system; then only the address is remembered, since the descriptor is gone as well.
// Rejected: one mmap a stack (ends near 32,000 of them), malloc (no guard, huge pages).
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft::detail {

struct stack {
  stack* next = nullptr;  // links of the free list it is on; a cache uses next alone
  stack* prev = nullptr;
  char* base = nullptr;  // lowest address, the guard page included
  void* tsan = nullptr;  // ThreadSanitizer's idea of this stack
  unsigned valgrind_id = 0;
  std::uint8_t size_class = 0;
  bool canary = false;        // guarded only by a pattern at its bottom
  bool of_generator = false;  // for the report of an overflow

  char* top() noexcept { return reinterpret_cast<char*>(this); }  // frames grow down from here
  char* limit() const noexcept;                                   // lowest usable address
  std::size_t usable() noexcept { return static_cast<std::size_t>(top() - limit()); }
};

struct stack_counts {
  std::size_t in_use = 0;
  std::size_t cached = 0;
};

namespace stacks {

inline constexpr std::size_t smallest = 16 * 1024;
inline constexpr std::size_t largest = std::size_t{1} << 30;

// The class whose stacks have at least this many bytes, guard and descriptor included.
std::uint8_t class_for(std::size_t bytes) noexcept;

// Null when the system has no more address space or memory for it.
stack* acquire(std::uint8_t size_class) noexcept;
void release(stack* done) noexcept;
// The same for several of one class, linked by next.
void release_list(stack* first, stack* last, std::size_t count) noexcept;

// Puts up to `want` hot stacks, linked by next, into *list; returns how many. Never maps memory.
std::size_t acquire_hot(std::uint8_t size_class, std::size_t want, stack** list) noexcept;

// Gives back the memory of stacks that no one needed since the last call.
void trim() noexcept;

stack_counts count() noexcept;

}  // namespace stacks

// True if the address lies in the guard page of one of our stacks; *owner is then its descriptor.
bool is_stack_guard(const void* address, stack** owner) noexcept;

}  // namespace weft::detail
