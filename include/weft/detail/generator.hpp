// What generator<T> needs of the library, whatever T is.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>

namespace weft {

// How one generator differs from the default.
struct generator_options {
  std::size_t stack_bytes = 0;  // 0: 256 KiB
};

}  // namespace weft

namespace weft::detail {

// The part that templates see; the callable stands behind the rest of it. See
// lib/task/generator.cpp.
struct generator_core {
  void* value = nullptr;  // what was yielded last; null while it runs, before the start, at the end
  generator_core* root = this;
  std::atomic<bool> busy{false};
  bool ended = false;
  bool abandoned = false;  // of the root
};

struct generator_ops {
  void (*run)(void* callable, generator_core& self);
  void (*drop)(void* callable) noexcept;
};

inline constexpr std::size_t generator_core_bytes = 320;

inline void* callable_of(generator_core* core) noexcept {
  return reinterpret_cast<char*>(core) + generator_core_bytes;
}

// Room for a generator, whose callable is yet to be made. Throws std::bad_alloc,
// std::invalid_argument.
WEFT_API generator_core* new_generator(std::size_t callable_bytes, const generator_ops& ops,
                                       const generator_options& options);
WEFT_API void free_generator(generator_core* core) noexcept;  // without its callable

// Runs the body to its next yield or its end; the caller goes on as advance_generator() does.
WEFT_API void resume_generator(generator_core* core);
// Frees the stack of what has ended, lets go of it, and rethrows what it threw, once.
WEFT_API void end_generator(generator_core* core);
// Unwinds a suspended body, drops the callable, frees the rest.
WEFT_API void drop_generator(generator_core* core) noexcept;

// Both from the body, which goes on as yield_or_unwind() does.
WEFT_API void yield_generated(generator_core& self, void* value);
WEFT_API void delegate_generated(generator_core& self, generator_core* inner);

[[noreturn]] WEFT_API void throw_no_generator();
[[noreturn]] WEFT_API void throw_abandoned();

// What is left to do after a switch stands here, so that the library's part ends in the switch:
// each return up the other context's chain of calls is one that the processor predicts wrongly.

inline void* advance_generator(generator_core* core) {
  resume_generator(core);
  if (core->ended) {
    end_generator(core);
    return nullptr;
  }
  void* value = core->value;
  core->busy.store(false, std::memory_order_release);  // pairs with take() in generator.cpp
  return value;
}

inline void yield_or_unwind(generator_core& self, void* value) {
  yield_generated(self, value);
  if (self.root->abandoned) throw_abandoned();
}

// Yielder is what the body is given.
template <class F, class Yielder>
struct generator_body_of {
  static void run(void* callable, generator_core& self) {
    Yielder yield(self);
    (*static_cast<F*>(callable))(yield);
  }
  static void drop(void* callable) noexcept { static_cast<F*>(callable)->~F(); }
  static constexpr generator_ops ops = {&run, &drop};
};

template <class Yielder, class F>
generator_core* make_generator(const generator_options& options, F&& body) {
  using callable = std::decay_t<F>;
  static_assert(std::is_invocable_v<callable&, Yielder&>,
                "weft::generator: the body takes auto& or weft::yielder<T>&");
  static_assert(alignof(callable) <= alignof(std::max_align_t),
                "weft::generator: hold over-aligned captures by pointer");
  struct guard {
    generator_core* core;
    ~guard() {
      if (core != nullptr) free_generator(core);
    }
  } undo{new_generator(sizeof(callable), generator_body_of<callable, Yielder>::ops, options)};
  ::new (callable_of(undo.core)) callable(std::forward<F>(body));
  return std::exchange(undo.core, nullptr);
}

}  // namespace weft::detail
