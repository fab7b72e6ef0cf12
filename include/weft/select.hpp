// Waiting for the first of several things.
//
//   weft::select(weft::on_recv(orders, [&](std::optional<order> next) { cook(next); }),
//                weft::on_send(news, headline, [] { std::puts("told"); }),
//                weft::on_ready(shift, [] { std::puts("the shift is over"); }),
//                weft::after(1s, [] { std::puts("quiet"); }));
//
// Exactly one case takes place. The others leave no trace: what they would have sent is still the
// caller's, what they would have received is still in the channel.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/channel.hpp>
#include <weft/detail/select_entry.hpp>
#include <weft/go.hpp>

namespace weft {

// Receives: f(std::optional<T>) gets the next value, or nothing once the channel is closed and
// empty. An f without parameters is called instead if that is what it takes.
template <class T, class F>
detail::recv_case<T, std::decay_t<F>> on_recv(const channel<T>& from, F&& f) {
  return {from, std::forward<F>(f)};
}

// Sends, then calls f(). An rvalue of type T is moved from only if it is sent; anything else is
// copied or converted at once. If the channel is closed, select() throws channel_closed.
template <class T, class V, class F = detail::nothing>
detail::send_case<T, std::decay_t<F>> on_send(const channel<T>& to, V&& value, F&& f = F()) {
  return {to, std::forward<V>(value), std::forward<F>(f)};
}

// Calls f() once that fiber has ended; join() then does not wait.
template <class F = detail::nothing>
detail::plain_case<std::decay_t<F>> on_ready(const detail::fiber_handle& fiber, F&& f = F()) {
  return {detail::select_entry::kind::ready, detail::task_of(fiber), 0, std::forward<F>(f)};
}

// Calls f() if nothing else took place for this long. Of several, the shortest counts. What is
// ready comes before a time that is over.
template <class Rep, class Period, class F = detail::nothing>
detail::plain_case<std::decay_t<F>> after(std::chrono::duration<Rep, Period> limit, F&& f = F()) {
  return {detail::select_entry::kind::after, nullptr, detail::to_nanoseconds(limit),
          std::forward<F>(f)};
}

// Calls f() if no other case is ready at this moment; it does not wait for after().
template <class F = detail::nothing>
detail::plain_case<std::decay_t<F>> otherwise(F&& f = F()) {
  return {detail::select_entry::kind::otherwise, nullptr, 0, std::forward<F>(f)};
}

// Waits for one of the cases, calls its function, and returns its position. Of several that are
// ready it takes a random one.
// Parks: until one is ready; never with otherwise().   Cancellation: throws cancelled, and no case
// has taken place; not with otherwise().   Threads: any.
// Throws: channel_closed, for a case on_send; what the function throws; std::logic_error if a fiber
// waits for its own end.
template <class... Cases, class = std::enable_if_t<(detail::is_case<Cases> && ...)>>
std::size_t select(Cases&&... cases) {
  static_assert(sizeof...(Cases) > 0, "weft::select: without a case it would wait for ever");
  static_assert((!std::is_lvalue_reference_v<Cases> && ...),
                "weft::select: write the cases into the call, or use std::vector<select_case>");
  detail::select_entry* all[2 * sizeof...(Cases)] = {&cases...};
  detail::select_entry& won = detail::select_one(all, sizeof...(Cases));
  won.run(won);
  return won.position;
}

// A case of any kind, for as many as are known at run time only. It keeps its channel or fiber
// alive and takes the value to send into itself; there it stays until it is sent.
//
//   std::vector<weft::select_case> cases;
//   for (auto& inbox : inboxes) cases.push_back(weft::on_recv(inbox, handle));
//   weft::select(cases);   // any number of times
class select_case {
 public:
  template <class Case, class = std::enable_if_t<detail::is_case<Case>>>
  select_case(Case&& one)  // NOLINT(google-explicit-constructor): a case is a case
      : kept_(new detail::kept_case<std::remove_reference_t<Case>>(one), &drop<Case>) {}

 private:
  friend std::size_t select(std::vector<select_case>& cases);

  template <class Case>
  static void drop(detail::select_entry* done) {
    delete static_cast<detail::kept_case<std::remove_reference_t<Case>>*>(done);
  }

  std::unique_ptr<detail::select_entry, void (*)(detail::select_entry*)> kept_;
};

// The same for a list of cases. The list belongs to one caller at a time, and must not be changed
// before select() has chosen one.
// Throws: also std::logic_error if there is no case, or one whose value has been sent already.
inline std::size_t select(std::vector<select_case>& cases) {
  constexpr std::size_t few = 64;  // so many need no memory but the stack
  detail::select_entry* room[2 * few];
  std::vector<detail::select_entry*> more;
  detail::select_entry** all = room;
  if (cases.size() > few) {
    more.resize(2 * cases.size());
    all = more.data();
  }
  for (std::size_t i = 0; i < cases.size(); ++i) all[i] = cases[i].kept_.get();
  detail::select_entry& won = detail::select_one(all, cases.size());
  const std::size_t position = won.position;
  won.run(won);  // may change the list
  return position;
}

}  // namespace weft
