// Lets Boost.Beast read from and write to a weft stream: what it calls a SyncReadStream and a
// SyncWriteStream. Its calls look blocking and park the fiber instead; errors stay exceptions.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>
#include <cstddef>
#include <string>
#include <weft/weft.hpp>

namespace web {

template <class Stream>
class beast_stream {
 public:
  explicit beast_stream(Stream& stream) noexcept : stream_(stream) {}

  template <class Buffers>
  std::size_t read_some(const Buffers& into, boost::beast::error_code& end) {
    const boost::asio::mutable_buffer room = first_of<boost::asio::mutable_buffer>(into);
    const std::size_t n = stream_.read(room.data(), room.size());
    end = {};
    if (n == 0 && room.size() > 0) end = boost::asio::error::eof;
    return n;
  }

  template <class Buffers>
  std::size_t read_some(const Buffers& into) {
    boost::beast::error_code end;
    const std::size_t n = read_some(into, end);
    if (end) throw boost::beast::system_error(end);
    return n;
  }

  // One call, so that headers and a short body leave in one packet.
  template <class Buffers>
  std::size_t write_some(const Buffers& from) {
    const boost::asio::const_buffer first = first_of<boost::asio::const_buffer>(from);
    const std::size_t all = boost::asio::buffer_size(from);
    if (first.size() == all || all > joined_bytes) {
      stream_.write(first.data(), first.size());
      return first.size();
    }
    joined_.resize(all);
    boost::asio::buffer_copy(boost::asio::buffer(joined_), from);
    stream_.write(joined_.data(), joined_.size());
    return all;
  }

  template <class Buffers>
  std::size_t write_some(const Buffers& from, boost::beast::error_code& error) {
    error = {};
    return write_some(from);
  }

 private:
  static constexpr std::size_t joined_bytes = 16 * 1024;  // above it, a second packet costs less

  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& all) {
    const auto end = boost::asio::buffer_sequence_end(all);
    for (auto it = boost::asio::buffer_sequence_begin(all); it != end; ++it) {
      const Buffer buffer(*it);
      if (buffer.size() > 0) return buffer;
    }
    return {};
  }

  Stream& stream_;
  std::string joined_;
};

}  // namespace web
