// The cases of a select: what the library knows of them, and what it does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/channel.hpp>
#include <weft/detail/slot.hpp>
#include <weft/go.hpp>

namespace weft::detail {

struct taken_over {};

// A case without its types. It stays where it is made, for waiters of the channels point into it.
struct select_entry {
  enum class kind : unsigned char { recv, send, ready, after, otherwise };

  select_entry(kind of, void (*then)(select_entry&)) noexcept : what(of), run(then) {}

  const kind what;
  bool closed = false;               // nothing was received: the channel is closed and empty
  bool spent = false;                // its value has been sent
  std::size_t position = 0;          // among the cases of the call
  void (*const run)(select_entry&);  // what the user wants done once it has taken place
  channel_core* core = nullptr;      // recv, send
  void* value = nullptr;             // recv, send: where it goes to, or lies
  control* task = nullptr;           // ready
  std::int64_t delay = 0;            // after, in nanoseconds
  alignas(void*) unsigned char node[6 * sizeof(void*)];  // the library's own, while it waits

  // For a copy that goes on where the other ends.
  select_entry(taken_over, const select_entry& other) noexcept
      : what(other.what),
        run(other.run),
        core(other.core),
        value(other.value),
        task(other.task),
        delay(other.delay) {}
  select_entry(const select_entry&) = delete;
  select_entry& operator=(const select_entry&) = delete;

 protected:
  ~select_entry() = default;
};

// Waits until one of the cases takes place, and returns it. Behind the `count` cases the array has
// room for as many, which it uses. Throws what select() throws, short of calling the function.
WEFT_API select_entry& select_one(select_entry** cases, std::size_t count);

WEFT_API void retain_task(control* task) noexcept;

struct nothing {
  void operator()() const noexcept {}
};

template <class Case>
inline constexpr bool is_case = std::is_base_of_v<select_entry, std::remove_reference_t<Case>>;

template <class T, class F>
struct recv_case : select_entry {
  static_assert(std::is_invocable_v<F&, std::optional<T>> || std::is_invocable_v<F&>,
                "weft::on_recv: the function takes a std::optional of the channel's type");

  template <class G>
  recv_case(const channel<T>& from, G&& f)
      : select_entry(kind::recv, &then), function(std::forward<G>(f)) {
    core = channel_access::core_of(from);
    value = room.place();
  }

  recv_case(taken_over how, recv_case& other)
      : select_entry(how, other), function(std::move(other.function)) {
    value = room.place();
  }

 private:
  static void then(select_entry& self) {
    auto& me = static_cast<recv_case&>(self);
    std::optional<T> got = me.room.take(!me.closed);
    if constexpr (std::is_invocable_v<F&, std::optional<T>>)
      static_cast<void>(me.function(std::move(got)));
    else
      static_cast<void>(me.function());
  }

  incoming<T> room;
  F function;
};

template <class T, class F>
struct send_case : select_entry {
  template <class V, class G>
  send_case(const channel<T>& to, V&& what_to_send, G&& f)
      : select_entry(kind::send, &then), function(std::forward<G>(f)) {
    core = channel_access::core_of(to);
    // Plain values are cheaper to copy than to follow.
    if constexpr (std::is_same_v<V, T> && !std::is_trivially_copyable_v<T>)
      set_source(what_to_send);
    else
      set_source(own.emplace(std::forward<V>(what_to_send)));
  }

  send_case(taken_over how, send_case& other)
      : select_entry(how, other), function(std::move(other.function)) {
    other.out.reset();  // what stands in a box goes back first
    set_source(own.emplace(std::move(*other.source)));
  }

 private:
  static void then(select_entry& self) {
    auto& me = static_cast<send_case&>(self);
    me.out->sent();
    me.spent = true;
    static_cast<void>(me.function());
  }

  void set_source(T& at) {
    source = std::addressof(at);
    out.emplace(at);
    value = out->place();
  }

  std::optional<T> own;
  T* source = nullptr;
  std::optional<outgoing<T>> out;
  F function;
};

// A case of which the library knows everything but the function.
template <class F>
struct plain_case : select_entry {
  template <class G>
  plain_case(kind of, control* which, std::int64_t nanoseconds, G&& f)
      : select_entry(of, &then), function(std::forward<G>(f)) {
    task = which;
    delay = nanoseconds;
  }
  plain_case(taken_over how, plain_case& other)
      : select_entry(how, other), function(std::move(other.function)) {}

 private:
  static void then(select_entry& self) {
    static_cast<void>(static_cast<plain_case&>(self).function());
  }

  F function;
};

// A case that outlives the call in which it was made.
template <class Case>
struct kept_case : Case {
  explicit kept_case(Case& made) : Case(taken_over(), made) {
    if (this->core != nullptr) retain_channel(this->core);
    if (this->task != nullptr) retain_task(this->task);
  }
  kept_case(const kept_case&) = delete;
  kept_case& operator=(const kept_case&) = delete;
  ~kept_case() {
    if (this->core != nullptr) release_channel(this->core);
    if (this->task != nullptr) release_task(this->task);
  }
};

}  // namespace weft::detail
