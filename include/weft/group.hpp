// A group of fibers that does not outlive its scope.
//
//   weft::group tasks;
//   for (auto& url : urls) tasks.go([&] { fetch(url); });   // may borrow: the group ends first
//   tasks.wait();
#pragma once

#include <cstddef>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/go.hpp>

namespace weft {
namespace detail {
template <class Range, class Place>
void start_each(group& tasks, Range& range, Place&& place);
}  // namespace detail

class WEFT_API group {
 public:
  // Throws: std::logic_error outside a fiber.
  group();

  // Cancels what still runs and waits for it, also while an exception unwinds the fiber.
  ~group();
  group(const group&) = delete;
  group& operator=(const group&) = delete;

  // Starts a child. It may borrow what outlives the group. In a cancelled group it starts
  // cancelled. A child that throws cancels its siblings.
  // Parks: only for set_limit().   Cancellation: throws cancelled if it has to park, and starts
  // nothing.   Threads: any fiber, while the group lives.
  template <class F, class... Args, class = std::enable_if_t<detail::is_callable_task<F>>>
  fiber<detail::result_of_call<F, Args...>> go(F&& f, Args&&... args) {
    return go(fiber_options{}, std::forward<F>(f), std::forward<Args>(args)...);
  }

  template <class F, class... Args>
  fiber<detail::result_of_call<F, Args...>> go(const fiber_options& options, F&& f,
                                               Args&&... args) {
    using result = detail::result_of_call<F, Args...>;
    detail::control* task = detail::make_task<result>(nullptr, options, std::forward<F>(f),
                                                      std::forward<Args>(args)...);
    start(task);
    return detail::adopt_task<result>(task);
  }

  // From now on at most so many children are alive at once, and go() parks until there is room; in
  // a cancelled group it does not.
  // Throws: std::invalid_argument if most is 0.
  void set_limit(std::size_t most);

  // Waits until all children have ended, those included that are started meanwhile. Rethrows the
  // first exception of a child, once. Children that ended by cancellation are no error. What others
  // throw after the first is given to who joins them, else to options::on_also_failed.
  // Parks: until then.   Cancellation: of a scope around the group, reaches the children too, and
  // throws cancelled after they have ended; of a scope opened since, with_timeout() around this
  // call say, ends the wait alone, and the children go on.
  void wait();

  // Asks all children to stop; later ones start cancelled. wait() still waits for them.
  void cancel() noexcept;

  // Whether children that start now start cancelled: by cancel(), a failure, or from outside.
  bool is_cancelled() const noexcept;

 private:
  template <class Range, class Place>
  friend void detail::start_each(group& tasks, Range& range, Place&& place);

  void start(detail::control* child);

  // From now on a child's failure also ends what the owner waits for inside this group's scope.
  void stop_owner_on_failure() noexcept;

  alignas(std::max_align_t) unsigned char room_[256];
};

}  // namespace weft
