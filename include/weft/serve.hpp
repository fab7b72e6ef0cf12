// A server, for TCP and Unix sockets: one fiber for each connection.
//
//   weft::serve(weft::listen_tcp("", 7777), [](weft::tcp_stream client) {
//     char bytes[4096];
//     while (std::size_t n = client.read(bytes)) client.write(bytes, n);
//   });
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

#include <weft/address.hpp>
#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

struct serve_options {
  // Connections at a time; 0: no limit. Beyond it clients wait in the listener's backlog.
  std::size_t max_connections = 0;

  // How long handlers may go on once serve() is cancelled.
  std::chrono::nanoseconds grace = std::chrono::seconds(5);

  // Gets what a handler threw, on the handler's fiber; clients of Unix sockets have no address.
  // Empty: io_error, eof_error and timed_out are what clients do to servers, and ignored; anything
  // else is printed to stderr.
  std::function<void(const address& client, std::exception_ptr error)> on_error;
};

namespace detail {

using connection_handler = void (*)(void* handler, socket_owner client);
WEFT_API void serve_connections(socket* listener, connection_handler handle, void* handler,
                                const serve_options& how);

}  // namespace detail

// Accepts connections and calls handler(stream) for each in a fiber of its own, until it is
// cancelled or the listener is closed. Handlers of several connections run at once, also on several
// threads; the connection is closed when its handler has ended. An exception in a handler ends that
// connection alone. No handler runs any more when serve() has ended.
// When descriptors or memory run out it pauses for 5 ms to 1 s, or until a connection ends.
// Parks: while it serves.
// Cancellation: stops accepting, gives handlers the grace period, then cancels them, and throws
// cancelled when they have ended. The listener stays open.
// Returns: after the listener was closed, and the handlers have ended.
// Throws: io_error if the listener fails, after the same grace; std::logic_error outside a fiber.
template <class Listener, class Handler>
void serve(Listener&& listener, Handler&& handler, const serve_options& how = {}) {
  using client = decltype(listener.accept());
  static_assert(std::is_invocable_v<Handler&, client>, "weft::serve: handler(stream) must compile");
  struct caller {
    std::remove_reference_t<Handler>& handler;

    static void call(void* self, detail::socket_owner accepted) {
      std::invoke(static_cast<caller*>(self)->handler,
                  detail::socket_access::make<client>(std::move(accepted)));
    }
  } caller{handler};
  detail::serve_connections(detail::socket_access::of(listener), &caller::call, &caller, how);
}

}  // namespace weft
