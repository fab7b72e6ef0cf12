// Variables that each fiber has for itself, and variables that a fiber inherits from its spawner.
//
//   weft::fiber_local<std::mt19937> dice;               // as thread_local, but for each fiber
//
//   weft::context_var<std::string> request("none");     // seen by all that a request spawns
//   weft::context_var<std::string>::scope here(request, "GET /index");
//   weft::go([] { log(request.get()); });               // GET /index
//
// On a plain thread both belong to the thread.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/storage.hpp>

namespace weft {

// A T for each fiber that asks for one: made by its first get(), destroyed when the fiber ends, the
// youngest first, before joiners learn of that end. Destructors may park, and are not interrupted
// by cancellation; one that throws ends the program, as with thread_local.
// The fiber_local itself may be static or local. It may go while fibers still have values: those
// are then destroyed at the latest when their fibers end.
template <class T>
class fiber_local {
 public:
  // Values start as T().
  fiber_local() : make_([] { return T(); }) {}

  // Values start as make() returns them, called in the fiber that needs one. It may park.
  template <class Make, class = std::enable_if_t<std::is_invocable_r_v<T, std::decay_t<Make>&>>>
  explicit fiber_local(Make&& make) : make_(std::forward<Make>(make)) {}

  fiber_local(const fiber_local&) = delete;
  fiber_local& operator=(const fiber_local&) = delete;

  // The calling fiber's value; on a plain thread, the thread's. Throws: what making it throws.
  T& get() const {
    detail::local_value* mine = slot_.find();
    if (mine == nullptr) mine = slot_.put(new detail::local_box<T>(make_));
    return static_cast<detail::local_box<T>*>(mine)->value;
  }
  T& operator*() const { return get(); }
  T* operator->() const { return std::addressof(get()); }

 private:
  detail::local_slot slot_;
  std::function<T()> make_;
};

// A value that is inherited: a new fiber starts with the values its spawner has at that moment, and
// what either sets later the other does not see. run() and runtime::go inherit from the thread.
// T is copied by get() and never changed in place, so let large values be shared_ptr<const ...>.
// A spawner that never set any variable pays nothing for this, others one counter a spawn.
template <class T>
class context_var {
 public:
  class scope;

  // What get() returns where nothing is set.
  explicit context_var(T initial = T()) : initial_(std::move(initial)) {}
  context_var(const context_var&) = delete;
  context_var& operator=(const context_var&) = delete;

  // The value in force for the calling fiber.
  T get() const {
    const void* found = detail::find_context(key_);
    return found == nullptr ? initial_ : *static_cast<const T*>(found);
  }

  // Sets it for the calling fiber and for those it will start.
  void set(T value) const { exchange(std::make_shared<const T>(std::move(value))); }

 private:
  detail::context_value exchange(detail::context_value value) const {
    return detail::exchange_context(key_, std::move(value));
  }

  const std::uint64_t key_ = detail::new_context_key();
  const T initial_;
};

// Sets a variable until the end of the block, then puts back what was before. For one fiber: do not
// let a generator yield inside.
template <class T>
class context_var<T>::scope {
 public:
  scope(const context_var& of, T value)
      : var_(of), before_(of.exchange(std::make_shared<const T>(std::move(value)))) {}
  ~scope() { var_.exchange(std::move(before_)); }
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

 private:
  const context_var& var_;
  detail::context_value before_;
};

}  // namespace weft
