// Generators: a function that hands out one value after another, on a stack of its own.
//
//   weft::generator<int> squares([](auto& yield) {
//     for (int i = 1; i <= 3; ++i) yield(i * i);
//   });
//   for (int n : squares) std::cout << n << ' ';   // 1 4 9
//
// The body runs between two values, as a part of whoever asks for the next: it sees that fiber's
// deadlines and cancellation, may call anything, and parks that fiber, or blocks that thread. It
// needs no runtime. From one value to the next a generator may move to another fiber or thread.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/generator.hpp>

namespace weft {

template <class T>
class generator;

// What the body of a generator<T> is given to hand out values.
//
// Between two values the body must not keep open what belongs to the fiber: with_timeout, shield,
// group, pin_guard. Such a yield throws std::logic_error, and so does one from another fiber than
// that which runs the body.
// When the generator is destroyed half-way, yield throws something that is no std::exception, so
// that the body unwinds; if the body swallows that and yields again, it is thrown again.
template <class T>
class yielder {
  using object = std::remove_reference_t<T>;
  static constexpr bool by_value = !std::is_reference_v<T> && !std::is_const_v<T>;
  template <int>
  struct no_overload {
    explicit no_overload(no_overload*);  // so that not even {} makes one
  };

 public:
  using reference = std::conditional_t<std::is_reference_v<T>, T, T&>;

  explicit yielder(detail::generator_core& of) noexcept : core_(of) {}
  yielder(const yielder&) = delete;
  yielder& operator=(const yielder&) = delete;

  // Hands out a value and returns when the next one is wanted. The consumer sees this very object,
  // and may change or move from it; of a const object, when T is not const, a copy.
  void operator()(reference value) { give(std::addressof(value)); }
  void operator()(std::conditional_t<by_value, object&&, no_overload<0>> value) {
    give(std::addressof(value));
  }
  void operator()(const std::conditional_t<by_value, object, no_overload<1>>& value) {
    if constexpr (by_value) {
      object copy(value);
      give(std::addressof(copy));
    }
  }

  // Hands out all that is left of another generator, whose values then reach the consumer without
  // a stop here: nesting to any depth costs nothing a value.
  void from(generator<T>& inner) { detail::delegate_generated(core_, inner.valid()); }
  void from(generator<T>&& inner) { from(inner); }

  // Hands out all elements of a range.
  template <class Range>
  void from(Range&& range) {
    for (auto&& each : range) (*this)(std::forward<decltype(each)>(each));
  }

 private:
  void give(const volatile void* value) {
    detail::yield_or_unwind(core_, const_cast<void*>(value));
  }

  detail::generator_core& core_;
};

// A lazy sequence of T, which may be a reference, const, or move-only. An input range: one pass.
// Move-only. Destroying it half-way unwinds the body, on the thread that destroys it, and waits for
// that: what the body throws then is dropped. A body that has not started is just dropped.
// Resuming it from its own body, or while another fiber or thread does, throws std::logic_error.
template <class T>
class generator {
 public:
  using value_type = std::remove_cv_t<std::remove_reference_t<T>>;
  using reference = typename yielder<T>::reference;
  using pointer = std::add_pointer_t<reference>;
  class iterator;
  struct sentinel {};

  // Refers to no generator; using it is a std::logic_error.
  generator() noexcept = default;

  // Keeps body, to be called as body(yield). Throws: std::bad_alloc, and what copying body throws.
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, generator>>>
  explicit generator(F&& body) : generator(generator_options{}, std::forward<F>(body)) {}
  template <class F>
  generator(const generator_options& options, F&& body)
      : core_(detail::make_generator<yielder<T>>(options, std::forward<F>(body))) {}

  generator(generator&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    generator(std::move(other)).swap(*this);
    return *this;
  }
  ~generator() {
    if (core_ != nullptr) detail::drop_generator(core_);
  }
  void swap(generator& other) noexcept { std::swap(core_, other.core_); }

  // Runs the body to its next value; null at the end. The value lives until the next call.
  // Parks and blocks: as the body does.   Throws: what the body throws, and then it has ended;
  // std::system_error if there is no memory for its stack.
  pointer next() { return static_cast<pointer>(detail::advance_generator(valid())); }

  // The same by iterator: begin() runs the body to its first value, ++ to the next. On a generator
  // that has begun, begin() refers to the value where it stands.
  iterator begin() {
    if (valid()->value == nullptr && !core_->ended) detail::advance_generator(core_);
    return iterator(core_);
  }
  sentinel end() const noexcept { return {}; }

  // Whether the body has returned or thrown.
  bool done() const { return valid()->ended; }

  // Whether it refers to a generator at all.
  explicit operator bool() const noexcept { return core_ != nullptr; }

 private:
  friend class yielder<T>;

  detail::generator_core* valid() const {
    if (core_ == nullptr) detail::throw_no_generator();
    return core_;
  }

  detail::generator_core* core_ = nullptr;
};

// Valid as long as the generator, wherever that is moved.
template <class T>
class generator<T>::iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = generator::value_type;
  using difference_type = std::ptrdiff_t;
  using reference = generator::reference;
  using pointer = generator::pointer;

  iterator() noexcept = default;

  reference operator*() const { return static_cast<reference>(*operator->()); }
  pointer operator->() const { return static_cast<pointer>(core_->value); }
  iterator& operator++() {
    detail::advance_generator(core_);
    return *this;
  }
  void operator++(int) { ++*this; }

  friend bool operator==(const iterator& at, sentinel) { return at.core_->value == nullptr; }
  friend bool operator!=(const iterator& at, sentinel end) { return !(at == end); }
  friend bool operator==(sentinel end, const iterator& at) { return at == end; }
  friend bool operator!=(sentinel end, const iterator& at) { return !(at == end); }

 private:
  friend class generator;
  explicit iterator(detail::generator_core* of) noexcept : core_(of) {}

  detail::generator_core* core_ = nullptr;
};

}  // namespace weft
