// Lets Boost.Asio and Boost.Beast use weft's streams. Header only, needs Boost's headers, and is no
// part of weft.hpp.
//
//   weft::asio_stream stream(weft::connect_tcp("example.org", 443));
//   boost::asio::ssl::stream<decltype(stream)&> secure(stream, context);
//   secure.handshake(boost::asio::ssl::stream_base::client);
//   boost::beast::http::write(secure, request);
//
// An asio_stream is what Asio calls a SyncStream: its calls look blocking and park the fiber alone.
// On it run asio::read, write and read_until, asio::ssl::stream, Beast's HTTP and
// beast::websocket::stream, as client and as server. It has no async_ functions.
//
// What calls with an error_code report:
//   the end of the stream      asio::error::eof; Beast's HTTP makes end_of_stream of it
//   io_error of the system     the same number in system_category(): it equals asio::error's own
//                              (connection_reset) and boost::system::errc's; a stream that was
//                              closed meanwhile is operation_aborted
//   anything else              stays an exception: cancelled and timed_out above all,
//   std::bad_alloc,
//                              std::logic_error, io_errors of other categories
// Calls without one throw boost::system::system_error instead, with the text of the io_error.
// serve() does not know that type: a handler that lets it out gets it printed, unless on_error is
// set.
//
// Asio and Beast let exceptions pass, but what they had of their own (bytes encrypted and not sent,
// half a frame) may be lost on the way. After cancelled or timed_out nothing but close() is sure to
// work on ssl::stream and websocket::stream. An asio_stream itself is as good as its stream.
//
// OpenSSL keeps its queue of errors for each thread, and a fiber may go on on another thread. That
// is safe, for ssl::stream empties the queue before each call of OpenSSL, reads it right after, and
// waits only when it has done so. What OpenSSL calls back (verification, passwords) must not park:
// a no_suspend_guard there says so. Who calls OpenSSL directly does as ssl::stream does. Beast's
// masks come of a thread_local generator, which is not held while it waits, either.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <cstddef>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/error.hpp>
#include <weft/stream.hpp>

namespace weft {
namespace detail {

// What executors of asio_streams belong to. Nobody runs it, and it starts no thread. Asio makes
// three descriptors for it with the first timer, which ssl and websocket streams have but do not
// use. Never destroyed, for streams may be.
inline boost::asio::io_context& idle_context() {
  static auto& context = *new boost::asio::io_context;
  return context;
}

template <class Stream, class = void>
struct has_writev : std::false_type {};
template <class Stream>
struct has_writev<Stream, std::void_t<decltype(std::declval<Stream&>().writev(
                              std::declval<const const_buffer*>(), std::size_t()))>>
    : std::true_type {};

template <class Stream, class = void>
struct has_shutdown_write : std::false_type {};
template <class Stream>
struct has_shutdown_write<Stream, std::void_t<decltype(std::declval<Stream&>().shutdown_write())>>
    : std::true_type {};

}  // namespace detail

// A stream as Asio sees it. asio_stream<tcp_stream> owns its stream, asio_stream<tcp_stream&>
// refers to one that stays elsewhere; asio_stream(x) is the first if x is moved in, else the
// second. Threads: what the stream itself allows, so one fiber may read while another writes.
template <class Stream>
class asio_stream {
 public:
  using stream_type = std::remove_reference_t<Stream>;
  using executor_type = boost::asio::io_context::executor_type;
  using lowest_layer_type = asio_stream;

  asio_stream() = default;
  explicit asio_stream(Stream&& stream) : stream_(std::forward<Stream>(stream)) {}

  stream_type& stream() noexcept { return stream_; }
  const stream_type& stream() const noexcept { return stream_; }

  // What layers of Asio ask for. The executor runs nothing.
  executor_type get_executor() const noexcept { return detail::idle_context().get_executor(); }
  lowest_layer_type& lowest_layer() noexcept { return *this; }
  const lowest_layer_type& lowest_layer() const noexcept { return *this; }

  // Reads some bytes into the first buffer that is not empty; 0 if there is none.
  // Parks: until something has come.   Cancellation: no byte is lost.
  template <class Buffers>
  std::size_t read_some(const Buffers& into, boost::system::error_code& error) {
    std::size_t n = 0;
    guarded(error, [&] { n = read_first(into, error); });
    return n;
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& into) {
    boost::system::error_code end;
    std::size_t n = 0;
    translated([&] { n = read_first(into, end); });
    if (end) throw boost::system::system_error(end);
    return n;
  }

  // Writes the first buffers that are not empty, 16 at most, as if they were one; of a stream
  // without writev() the first. Returns their size. How much an error has left out is not known.
  // Parks: while the peer does not read.   Cancellation: as the stream's write().
  template <class Buffers>
  std::size_t write_some(const Buffers& from, boost::system::error_code& error) {
    std::size_t n = 0;
    guarded(error, [&] { n = write_first(from); });
    return n;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& from) {
    std::size_t n = 0;
    translated([&] { n = write_first(from); });
    return n;
  }

  // Closes the stream.
  void close() { stream_.close(); }
  void close(boost::system::error_code& error) {
    guarded(error, [&] { stream_.close(); });
  }

  // Tells the peer that no more will come; of streams that can.
  void shutdown_write() { stream_.shutdown_write(); }
  void shutdown_write(boost::system::error_code& error) {
    guarded(error, [&] { stream_.shutdown_write(); });
  }

 private:
  static constexpr std::size_t most_pieces = 16;  // Beast has up to eight at a time

  static bool is_of_system(const std::error_code& code) noexcept {
    return code.category() == std::generic_category() || code.category() == std::system_category();
  }
  static boost::system::error_code to_boost(const std::error_code& code) noexcept {
    return {code.value(), boost::system::system_category()};
  }

  template <class F>
  static void guarded(boost::system::error_code& error, F&& f) {
    error = {};
    try {
      f();
    } catch (const io_error& failed) {
      if (!is_of_system(failed.code())) throw;
      error = to_boost(failed.code());
    }
  }
  template <class F>
  static void translated(F&& f) {
    try {
      f();
    } catch (const io_error& failed) {
      if (!is_of_system(failed.code())) throw;
      throw boost::system::system_error(to_boost(failed.code()), failed.what());
    }
  }

  template <class Buffers>
  std::size_t read_first(const Buffers& into, boost::system::error_code& end) {
    const auto last = boost::asio::buffer_sequence_end(into);
    for (auto at = boost::asio::buffer_sequence_begin(into); at != last; ++at) {
      const boost::asio::mutable_buffer room(*at);
      if (room.size() == 0) continue;
      const std::size_t n = stream_.read(room.data(), room.size());
      if (n == 0) end = boost::asio::error::eof;
      return n;
    }
    return 0;
  }

  template <class Buffers>
  std::size_t write_first(const Buffers& from) {
    constexpr std::size_t most = detail::has_writev<stream_type>::value ? most_pieces : 1;
    std::array<boost::asio::const_buffer, most> pieces;
    std::size_t count = 0;
    std::size_t bytes = 0;
    const auto last = boost::asio::buffer_sequence_end(from);
    for (auto at = boost::asio::buffer_sequence_begin(from); at != last && count < most; ++at) {
      const boost::asio::const_buffer piece(*at);
      if (piece.size() == 0) continue;
      pieces[count++] = piece;
      bytes += piece.size();
    }
    if (count == 1) {
      stream_.write(pieces[0].data(), pieces[0].size());
    } else if (count > 1) {
      write_pieces(pieces, count, std::make_index_sequence<most>());
    }
    return bytes;
  }

  template <std::size_t most, std::size_t... each>
  void write_pieces(const std::array<boost::asio::const_buffer, most>& pieces, std::size_t count,
                    std::index_sequence<each...>) {
    if constexpr (most > 1) {
      const const_buffer all[] = {const_buffer(pieces[each].data(), pieces[each].size())...};
      stream_.writev(all, count);
    }
  }

  Stream stream_;
};

template <class Stream>
asio_stream(Stream&&) -> asio_stream<Stream>;

// Beast's ways to end a connection. Both ends wait until the other has closed, so that neither
// resets what the other has yet to read: put a with_timeout around it.
template <class Stream>
void teardown(boost::beast::role_type role, asio_stream<Stream>& stream,
              boost::system::error_code& error) {
  constexpr bool half_closes =
      detail::has_shutdown_write<typename asio_stream<Stream>::stream_type>::value;
  error = {};
  if constexpr (half_closes) {
    if (role == boost::beast::role_type::server) stream.shutdown_write(error);
  }
  if (half_closes || role == boost::beast::role_type::client) {
    char ignored[2048];
    while (!error) stream.read_some(boost::asio::buffer(ignored), error);
    if (error == boost::asio::error::eof) error = {};
  }
  if (!error) stream.close(error);
}

template <class Stream>
void beast_close_socket(asio_stream<Stream>& stream) {
  boost::system::error_code ignored;
  stream.close(ignored);
}

}  // namespace weft
