// One fiber for each element of a range.
//
//   auto pages = weft::map(urls, 8, [](const std::string& url) { return fetch(url); });
//
// The range may be anything that a range-for takes, a channel or a generator too: the next element
// is asked for when there is room for it. Of a forward range each call gets the element itself, of
// any other a copy.
#pragma once

#include <cstddef>
#include <deque>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/error.hpp>
#include <weft/group.hpp>

namespace weft {
namespace detail {

template <class It, class = void>
inline constexpr bool is_multi_pass = false;
template <class It>
inline constexpr bool
    is_multi_pass<It, std::void_t<typename std::iterator_traits<It>::iterator_category>> =
        std::is_base_of_v<std::forward_iterator_tag,
                          typename std::iterator_traits<It>::iterator_category>;

template <class Range>
auto range_begin(Range& range) {
  using std::begin;
  return begin(range);
}
template <class Range>
auto range_end(Range& range) {
  using std::end;
  return end(range);
}

template <class Range>
using iterator_of = decltype(range_begin(std::declval<Range&>()));

// What f is called with.
template <class It>
using passed_element = std::conditional_t<is_multi_pass<It>, decltype(*std::declval<It&>()),
                                          std::decay_t<decltype(*std::declval<It&>())>>;

template <class Range, class F>
using result_for_each = std::invoke_result_t<F&, passed_element<iterator_of<Range>>>;

// Starts body(element) for each; `place` is called before, for what the body writes to. Ends early
// if a child has failed.
template <class Range, class Place>
void start_each(group& tasks, Range& range, Place&& place) {
  tasks.stop_owner_on_failure();  // who waits for the next element would not see it
  try {
    auto last = range_end(range);
    for (auto at = range_begin(range); !tasks.is_cancelled() && at != last; ++at) {
      auto body = place();
      if constexpr (is_multi_pass<iterator_of<Range>>)
        tasks.go([body, at]() mutable { body(*at); });
      else
        tasks.go([body, element = passed_element<iterator_of<Range>>(*at)]() mutable {
          body(std::move(element));
        });
    }
  } catch (const cancelled&) {
    if (!tasks.is_cancelled()) throw;  // else wait() tells why
  }
}

inline constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

}  // namespace detail

// Calls f with each element, at most `limit` at once, each call in a fiber of its own.
// Parks: until all have ended.   Cancellation: reaches them; throws cancelled after they have
// ended.
// Throws: the first exception of any call or of the range, after the rest have been cancelled and
// have ended; std::invalid_argument if limit is 0; std::logic_error outside a fiber. map() also
// throws fiber_cancelled if a call ended by cancellation and so has no result.
template <class Range, class F>
void for_each(Range&& range, std::size_t limit, F&& f) {
  group tasks;
  tasks.set_limit(limit);
  detail::start_each(tasks, range, [&f] {
    return [&f](auto&& element) { f(std::forward<decltype(element)>(element)); };
  });
  tasks.wait();
}

template <class Range, class F>
void for_each(Range&& range, F&& f) {
  for_each(range, detail::no_limit, f);
}

// The same, and gives what f returned, in the order of the range.
template <class Range, class F>
auto map(Range&& range, std::size_t limit, F&& f) {
  using result = std::decay_t<detail::result_for_each<Range, F>>;
  static_assert(!std::is_void_v<result>, "weft::map needs results: use weft::for_each");
  std::deque<std::optional<result>> slots;  // before the group, whose children write to it
  group tasks;
  tasks.set_limit(limit);
  detail::start_each(tasks, range, [&f, &slots] {
    return [&f, &slot = slots.emplace_back()](auto&& element) {
      slot.emplace(f(std::forward<decltype(element)>(element)));
    };
  });
  tasks.wait();
  std::vector<result> results;
  results.reserve(slots.size());
  for (std::optional<result>& each : slots) {
    if (!each) detail::throw_fiber_cancelled();
    results.push_back(std::move(*each));
  }
  return results;
}

template <class Range, class F>
auto map(Range&& range, F&& f) {
  return map(range, detail::no_limit, f);
}

}  // namespace weft
