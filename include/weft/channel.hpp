// Channels: values handed from fiber to fiber.
//
//   weft::channel<int> numbers;                                   // rendezvous
//   weft::go([=] { for (int i = 0; i < 3; ++i) numbers.send(i); numbers.close(); });
//   for (int n : numbers) std::cout << n << '\n';
//
// First in, first out, for values and for those who wait. No value is lost or sent twice: an
// operation that throws or times out has moved nothing. (Only a type whose move throws can lose
// one: in recv(), or, if it can be neither copied nor assigned, in a send that fails.)
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/deadline.hpp>
#include <weft/detail/slot.hpp>
#include <weft/error.hpp>
#include <weft/go.hpp>

namespace weft {

template <class T>
class channel;

namespace detail {

struct channel_core;
struct channel_access;

enum class transfer : unsigned char { done, closed, not_now, must_grow };

WEFT_API channel_core* new_channel(const slot_ops& how, std::size_t capacity);
WEFT_API void retain_channel(channel_core* core) noexcept;
WEFT_API void release_channel(channel_core* core) noexcept;

// Each has moved the value exactly if it returns, and does not return false. Sending throws
// channel_closed, what may park throws cancelled; the core is not touched once the value is moved.
WEFT_API void channel_send(channel_core* core, void* value);
WEFT_API bool channel_send_until(channel_core* core, void* value, std::int64_t deadline);
WEFT_API bool channel_try_send(channel_core* core, void* value);
WEFT_API bool channel_recv(channel_core* core, void* room);
WEFT_API bool channel_recv_until(channel_core* core, void* room, std::int64_t deadline);
WEFT_API bool channel_try_recv(channel_core* core, void* room);

WEFT_API void close_channel(channel_core* core) noexcept;
WEFT_API bool channel_is_closed(channel_core* core) noexcept;
WEFT_API std::size_t channel_size(channel_core* core) noexcept;
WEFT_API std::size_t channel_capacity(const channel_core* core) noexcept;

template <class T>
class channel_iterator;

}  // namespace detail

// Refers to a channel; copies refer to the same one, which lives as long as any of them. A handle
// always refers to a channel. All members may be called from any thread, also on one handle. The
// last handle may go as soon as one side knows that an operation is done: a rendezvous may be used
// to tell that everything is over, and be destroyed with it.
//
// T is any movable object type; it needs no default constructor. Values move under a short lock, so
// a move constructor that is noexcept, and the destructor of what it has moved from, must not park
// or use channels. One that is not noexcept never runs there: such a value travels in a box of its
// own. If moving it out of that throws, in recv(), the value is lost.
template <class T>
class channel {
  static_assert(!std::is_reference_v<T>, "weft::channel: send a pointer or a value, no reference");
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T> &&
                    !std::is_volatile_v<T>,
                "weft::channel: T must be an object type, and no array, const or volatile");

 public:
  using value_type = T;
  using iterator = detail::channel_iterator<T>;

  // A channel that holds so many values that nobody has received yet. With 0, send() waits for the
  // receiver: a rendezvous. Memory is taken as it is needed.
  // Throws: std::length_error if so many could never be held.
  explicit channel(std::size_t capacity = 0)
      : core_(detail::new_channel(detail::slot<T>::ops, capacity)) {
    // Asked here, so that a T may hold channels of T: where to answer, say.
    static_assert(std::is_move_constructible_v<T>, "weft::channel: T must be movable");
  }
  channel(const channel& other) noexcept : core_(other.core_) { detail::retain_channel(core_); }
  channel& operator=(channel other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~channel() { detail::release_channel(core_); }

  // Sends a value. If it throws, the value is still the caller's, unmoved.
  // Parks: until there is room for it or a receiver.   Cancellation: throws cancelled.
  // Throws: channel_closed, also if the channel is closed meanwhile.   Threads: any.
  void send(T&& value) const {
    detail::outgoing<T> out(value);
    detail::channel_send(core_, out.place());
    out.sent();
  }
  void send(const T& value) const { send(T(value)); }

  // The same for at most this long, or until then. Returns whether the value was sent.
  template <class Rep, class Period>
  bool send_for(T&& value, std::chrono::duration<Rep, Period> limit) const {
    return send_by(value, detail::deadline_in(limit));
  }
  template <class Rep, class Period>
  bool send_for(const T& value, std::chrono::duration<Rep, Period> limit) const {
    return send_for(T(value), limit);
  }
  bool send_until(T&& value, std::chrono::steady_clock::time_point when) const {
    return send_by(value, detail::to_nanoseconds(when.time_since_epoch()));
  }
  bool send_until(const T& value, std::chrono::steady_clock::time_point when) const {
    return send_until(T(value), when);
  }

  // Sends if that needs no waiting, and returns whether it did. Never parks.
  // Throws: channel_closed.   Threads: any.
  bool try_send(T&& value) const {
    detail::outgoing<T> out(value);
    return detail::channel_try_send(core_, out.place()) && out.sent();
  }
  bool try_send(const T& value) const { return try_send(T(value)); }

  // Receives the next value, or nothing once the channel is closed and empty.
  // Parks: while it is open and empty.   Cancellation: throws cancelled.   Threads: any.
  std::optional<T> recv() const {
    detail::incoming<T> in;
    return in.take(detail::channel_recv(core_, in.place()));
  }

  // The same for at most this long, or until then: nothing also if no value came in time. closed()
  // tells the two apart.
  template <class Rep, class Period>
  std::optional<T> recv_for(std::chrono::duration<Rep, Period> limit) const {
    return recv_by(detail::deadline_in(limit));
  }
  std::optional<T> recv_until(std::chrono::steady_clock::time_point when) const {
    return recv_by(detail::to_nanoseconds(when.time_since_epoch()));
  }

  // Receives if that needs no waiting. Never parks.   Threads: any.
  std::optional<T> try_recv() const {
    detail::incoming<T> in;
    return in.take(detail::channel_try_recv(core_, in.place()));
  }

  // Ends sending: whoever sends, or waits to send, gets channel_closed. What the channel holds can
  // still be received. Idempotent; never parks.   Threads: any.
  void close() const noexcept { detail::close_channel(core_); }
  bool closed() const noexcept { return detail::channel_is_closed(core_); }

  // How many values it holds, just now; those of senders who wait are not counted.
  std::size_t size() const noexcept { return detail::channel_size(core_); }
  std::size_t capacity() const noexcept { return detail::channel_capacity(core_); }

  // Receives in a loop, until the channel is closed and empty. The channel must outlive the loop.
  iterator begin() const { return iterator(*this); }
  iterator end() const noexcept { return iterator(); }

  // Whether both refer to the same channel.
  friend bool operator==(const channel& a, const channel& b) noexcept { return a.core_ == b.core_; }
  friend bool operator!=(const channel& a, const channel& b) noexcept { return a.core_ != b.core_; }

 private:
  friend detail::channel_access;

  bool send_by(T& value, std::int64_t deadline) const {
    detail::outgoing<T> out(value);
    return detail::channel_send_until(core_, out.place(), deadline) && out.sent();
  }
  std::optional<T> recv_by(std::int64_t deadline) const {
    detail::incoming<T> in;
    return in.take(detail::channel_recv_until(core_, in.place(), deadline));
  }

  detail::channel_core* core_;
};

namespace detail {

struct channel_access {
  template <class T>
  static channel_core* core_of(const channel<T>& from) noexcept {
    return from.core_;
  }
};

// An input iterator; each step receives.
template <class T>
class channel_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  channel_iterator() noexcept = default;  // the end
  explicit channel_iterator(const channel<T>& from) : from_(&from) { ++*this; }

  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_.operator->(); }
  channel_iterator& operator++() {
    value_.reset();
    if (std::optional<T> next = from_->recv()) value_.emplace(std::move(*next));
    return *this;
  }
  void operator++(int) { ++*this; }

  // All that matters is whether there is a value.
  friend bool operator==(const channel_iterator& a, const channel_iterator& b) noexcept {
    return a.value_.has_value() == b.value_.has_value();
  }
  friend bool operator!=(const channel_iterator& a, const channel_iterator& b) noexcept {
    return !(a == b);
  }

 private:
  const channel<T>* from_ = nullptr;
  mutable std::optional<T> value_;
};

}  // namespace detail
}  // namespace weft
