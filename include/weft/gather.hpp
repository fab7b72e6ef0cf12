// Running several things at once and collecting what they return.
//
//   auto [user, cart] = weft::gather([&] { return load_user(id); }, [&] { return load_cart(id); });
//
// With map() and for_each() for ranges, and race() for the first of several.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/group.hpp>
#include <weft/map.hpp>
#include <weft/race.hpp>

namespace weft {
namespace detail {

template <class F>
using gathered = std::conditional_t<std::is_void_v<std::invoke_result_t<F&>>, std::monostate,
                                    std::decay_t<std::invoke_result_t<F&>>>;

template <class R>
std::conditional_t<std::is_void_v<R>, std::monostate, std::decay_t<R>> take_result(fiber<R>& from) {
  if constexpr (std::is_void_v<R>) {
    from.join();
    return {};
  } else {
    return from.join();
  }
}

}  // namespace detail

// Calls all functions at once, each in a fiber of its own, and returns their results in order; void
// becomes std::monostate. They may borrow the caller's locals.
// Parks: until all have ended.   Cancellation: reaches them; throws cancelled after they have
// ended. Throws: the first exception of any, after the rest have been cancelled and have ended.
template <class... F>
std::tuple<detail::gathered<F>...> gather(F&&... functions) {
  group tasks;
  auto fibers = std::tuple{tasks.go([&functions]() -> decltype(auto) { return functions(); })...};
  tasks.wait();
  return std::apply(
      [](auto&... each) {
        return std::tuple<detail::gathered<F>...>{detail::take_result(each)...};
      },
      fibers);
}

}  // namespace weft
