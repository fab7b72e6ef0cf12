// How templates hand a callable to the library: one block of memory holds the fiber's control block
// (which only the library sees), and behind it the callable and room for its result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/detail/config.hpp>

namespace weft {

// How one fiber differs from the runtime's defaults.
struct fiber_options {
  std::string_view name = {};   // shown by dumps and error reports; copied
  std::size_t stack_bytes = 0;  // 0: options::stack_bytes
};

}  // namespace weft

namespace weft::detail {

struct control;
class scheduler;

inline constexpr std::size_t control_bytes = 336;

struct task_ops {
  void (*run)(void* payload);                   // calls, stores the result, drops the callable
  void (*discard)(void* payload) noexcept;      // drops a callable that never ran
  void (*drop_result)(void* payload) noexcept;  // null if there is nothing to do
};

inline void* payload_of(control* task) noexcept {
  return reinterpret_cast<char*>(task) + control_bytes;
}

// Makes a fiber of `home`, or of the calling fiber's scheduler where home is null.
// Throws std::logic_error outside a fiber without a home, std::bad_alloc.
WEFT_API control* new_task(scheduler* home, std::size_t payload_bytes, const task_ops& ops,
                           const fiber_options& options);
WEFT_API void abandon_task(control* unstarted) noexcept;  // its callable was never made
void discard_task(control* unstarted) noexcept;           // its callable goes with it
// Hands the fiber over. Throws std::logic_error, and disposes of it, if its runtime has been shut
// down.
WEFT_API void start_task(control* ready);

WEFT_API void release_task(control* task) noexcept;  // a handle goes away
WEFT_API bool task_done(const control* task) noexcept;
WEFT_API std::uint64_t task_id(const control* task) noexcept;
WEFT_API void cancel_task(control* task) noexcept;
WEFT_API void wait_task(control* task);
WEFT_API bool wait_task_for(control* task, std::int64_t nanoseconds);
WEFT_API void collect_task(control* task);  // of a done task: rethrows what it threw
// What a call throws that needs the result of a fiber which was cancelled: fiber_cancelled, or
// cancelled if the caller is to stop as well.
[[noreturn]] WEFT_API void throw_fiber_cancelled();
[[noreturn]] WEFT_API void throw_no_fiber(const char* operation);

template <class R>
using result_slot =
    std::conditional_t<std::is_void_v<R>, std::monostate,
                       std::conditional_t<std::is_reference_v<R>, std::add_pointer_t<R>, R>>;

// The payload: result first, so that a handle finds it without knowing the callable's type.
template <class R>
struct result_part {
  alignas(result_slot<R>) unsigned char room[sizeof(result_slot<R>)];
  bool full = false;

  result_slot<R>& value() noexcept {
    return *std::launder(reinterpret_cast<result_slot<R>*>(room));
  }
};

template <class R, class F, class... Args>
struct task_payload : result_part<R> {
  using bound = std::tuple<F, Args...>;
  alignas(bound) unsigned char call_room[sizeof(bound)];

  bound& call() noexcept { return *std::launder(reinterpret_cast<bound*>(call_room)); }

  static void run(void* self) {
    auto* me = static_cast<task_payload*>(self);
    struct dropper {
      bound& call;
      ~dropper() { call.~bound(); }
    } drop{me->call()};
    auto invoke = [](F& f, Args&... args) -> R {
      return std::invoke(std::move(f), std::move(args)...);
    };
    if constexpr (std::is_void_v<R>) {
      std::apply(invoke, drop.call);
    } else if constexpr (std::is_reference_v<R>) {
      ::new (static_cast<void*>(me->room))
          result_slot<R>(std::addressof(std::apply(invoke, drop.call)));
      me->full = true;
    } else {
      ::new (static_cast<void*>(me->room)) R(std::apply(invoke, drop.call));
      me->full = true;
    }
  }

  static void discard(void* self) noexcept { static_cast<task_payload*>(self)->call().~bound(); }

  static void drop_result(void* self) noexcept {
    auto* me = static_cast<task_payload*>(self);
    if (me->full) me->value().~result_slot<R>();
  }

  static constexpr task_ops ops = {
      &run, &discard, std::is_trivially_destructible_v<result_slot<R>> ? nullptr : &drop_result};
};

// A fiber made ready in place but not started; start() hands it over.
template <class R, class F, class... Args>
control* make_task(scheduler* home, const fiber_options& options, F&& f, Args&&... args) {
  using payload = task_payload<R, std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(alignof(payload) <= alignof(std::max_align_t),
                "weft::go: hold over-aligned arguments by pointer");
  control* task = new_task(home, sizeof(payload), payload::ops, options);
  struct guard {
    control* task;
    ~guard() {
      if (task != nullptr) abandon_task(task);
    }
  } undo{task};
  auto* room = ::new (payload_of(task)) payload;
  ::new (static_cast<void*>(room->call_room))
      typename payload::bound(std::forward<F>(f), std::forward<Args>(args)...);
  undo.task = nullptr;
  return task;
}

}  // namespace weft::detail
