// Several ways to an answer, of which the first counts.
//
//   std::string page = weft::race([&] { return fetch(mirror); }, [&] { return fetch(origin); });
//
// What a loser had received when it was cancelled goes with it: to take from one of several
// channels use select().
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/error.hpp>
#include <weft/group.hpp>

namespace weft {
namespace detail {

template <class F>
using raced = std::decay_t<std::invoke_result_t<F&>>;

template <class R>
using unless_void = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class First, class... Rest>
inline constexpr bool all_agree = (std::is_same_v<First, Rest> && ...);

// Hands a failure that nobody else receives to options::on_also_failed.
WEFT_API void report_also_failed(const std::exception_ptr& what) noexcept;

template <class... R>
class race_state {
 public:
  static constexpr bool one_type = all_agree<R...>;
  using first_type = std::tuple_element_t<0, std::tuple<R...>>;
  using result =
      std::conditional_t<one_type, unless_void<first_type>, std::variant<unless_void<R>...>>;

  // The body of one fiber.
  template <std::size_t I, class F>
  void compete(group& all, F& f) {
    bool won = false;
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        f();
        if ((won = claim())) store<I>(std::monostate());
      } else {
        auto&& value = f();
        if ((won = claim())) store<I>(std::forward<decltype(value)>(value));
      }
    } catch (const cancelled&) {
      if (won) all.cancel();  // its result could not be stored, and there will be no other
      throw;
    } catch (...) {
      if (!won && !(won = claim()))
        report_also_failed(std::current_exception());
      else
        error_ = std::current_exception();
    }
    if (won) all.cancel();
  }

  bool decided() const noexcept { return claimed_; }

  result take() {
    if (error_ != nullptr) std::rethrow_exception(std::move(error_));
    if (!value_) throw_fiber_cancelled();
    return std::move(*value_);
  }

 private:
  bool claim() noexcept { return !claimed_.exchange(true); }

  template <std::size_t I, class T>
  void store(T&& value) {
    if constexpr (one_type)
      value_.emplace(std::forward<T>(value));
    else
      value_.emplace(std::in_place_index<I>, std::forward<T>(value));
  }

  std::atomic<bool> claimed_{false};  // what the winner wrote is read after the group has ended
  std::optional<result> value_;
  std::exception_ptr error_;
};

template <class State, class... F, std::size_t... I>
void run_race(State& state, std::index_sequence<I...>, F&... functions) {
  group all;
  (all.go([&] { state.template compete<I>(all, functions); }), ...);
  try {
    all.wait();
  } catch (const cancelled&) {
    if (!state.decided()) throw;  // else the first was there before the cancellation
  }
}

}  // namespace detail

// Calls all functions at once, each in a fiber of its own; the first that ends, by a result or an
// exception, decides. The others are cancelled and waited for.
// Returns: its result. If the functions return different types, a std::variant of them (void is
// std::monostate), whose index() says which was first.
// Parks: until all have ended.   Cancellation: reaches them; throws cancelled after they have
// ended, unless one had ended before.
// Throws: what the first to end threw; fiber_cancelled if all were cancelled from elsewhere;
// std::logic_error outside a fiber. What a loser throws goes to options::on_also_failed.
template <class... F>
auto race(F&&... functions) {
  static_assert(sizeof...(F) > 0, "weft::race needs a function");
  using state_type = detail::race_state<detail::raced<F>...>;
  state_type state;
  detail::run_race(state, std::index_sequence_for<F...>{}, functions...);
  if constexpr (state_type::one_type && std::is_void_v<typename state_type::first_type>)
    static_cast<void>(state.take());
  else
    return state.take();
}

}  // namespace weft
