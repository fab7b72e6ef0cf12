// How values of any type go through a channel that does not know it: as slots, which move without
// failing. A type whose move may throw travels in a box, and its slot is the pointer to that.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft::detail {

// What the channel does with slots. move leaves a moved-from value behind, relocate raw memory.
// Null for types that are copied and forgotten as plain bytes.
struct slot_ops {
  std::size_t bytes;
  std::size_t alignment;
  void (*move)(void* to, void* from) noexcept;
  void (*relocate)(void* to, void* from) noexcept;
  void (*destroy)(void* at) noexcept;
};

template <class T>
inline constexpr bool fits_a_slot = std::is_nothrow_move_constructible_v<T>;

template <class T>
struct slot {
  using type = std::conditional_t<fits_a_slot<T>, T, T*>;

  static type& in(void* at) noexcept { return *std::launder(static_cast<type*>(at)); }
  static void move(void* to, void* from) noexcept { ::new (to) type(std::move(in(from))); }
  static void relocate(void* to, void* from) noexcept {
    move(to, from);
    in(from).~type();
  }
  static void destroy(void* at) noexcept {
    if constexpr (fits_a_slot<T>)
      in(at).~type();
    else
      delete in(at);
  }

  static constexpr bool plain = std::is_trivially_copyable_v<type>;
  static constexpr slot_ops ops = {sizeof(type), alignof(type), plain ? nullptr : &move,
                                   plain ? nullptr : &relocate,
                                   plain&& fits_a_slot<T> ? nullptr : &destroy};
};

// A value on its way into a channel, until sent(): before that it is still the caller's.
template <class T, bool Boxed = !fits_a_slot<T>>
class outgoing {
 public:
  explicit outgoing(T& value) noexcept : value_(value) {}
  void* place() noexcept {
    return const_cast<void*>(static_cast<const void*>(std::addressof(value_)));
  }
  bool sent() noexcept { return true; }

 private:
  T& value_;
};

// In its box: copied into it if it can be, as std::vector does, so that the original stays whole.
// Otherwise it is moved back if it was not sent, where T can be assigned and that does not throw.
template <class T>
class outgoing<T, true> {
 public:
  explicit outgoing(T& value) : value_(value), box_(new T(std::move_if_noexcept(value))) {}
  outgoing(const outgoing&) = delete;
  outgoing& operator=(const outgoing&) = delete;
  ~outgoing() {
    std::unique_ptr<T> back(box_);
    if constexpr (!std::is_copy_constructible_v<T> && std::is_move_assignable_v<T>) {
      try {
        if (back != nullptr) value_ = std::move(*back);
      } catch (...) {  // the reason why it was not sent is the news
      }
    }
  }
  void* place() noexcept { return &box_; }
  bool sent() noexcept {
    box_ = nullptr;
    return true;
  }

 private:
  T& value_;
  T* box_;
};

// Raw room for a value to come.
template <class T>
class incoming {
 public:
  void* place() noexcept { return room_; }

  // Gives what has come, if it has.
  std::optional<T> take(bool came) {
    std::optional<T> value;
    if (!came) return value;
    struct dropper {
      void* at;
      ~dropper() {
        if constexpr (!(std::is_trivially_destructible_v<T> && fits_a_slot<T>))
          slot<T>::destroy(at);
      }
    } drop{room_};
    if constexpr (fits_a_slot<T>)
      value.emplace(std::move(slot<T>::in(room_)));
    else
      value.emplace(std::move(*slot<T>::in(room_)));
    return value;
  }

 private:
  alignas(typename slot<T>::type) unsigned char room_[sizeof(typename slot<T>::type)];
};

}  // namespace weft::detail
