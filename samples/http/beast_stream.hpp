// Lets Boost.Beast read from and write to a weft stream: what it calls a SyncReadStream and a
// SyncWriteStream. Its calls look blocking and park the fiber instead; errors stay exceptions.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>
#include <cstddef>
#include <vector>
#include <weft/weft.hpp>

namespace web {

template <class Stream>
class beast_stream {
 public:
  explicit beast_stream(Stream& stream) noexcept : stream_(stream) {}

  Stream& next_layer() noexcept { return stream_; }

  template <class Buffers>
  std::size_t read_some(const Buffers& into, boost::beast::error_code& end) {
    const boost::asio::mutable_buffer room = first_of(into);
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

  // Headers and body leave in one call, and so in one packet if they fit.
  template <class Buffers>
  std::size_t write_some(const Buffers& from) {
    pieces_.clear();
    const auto end = boost::asio::buffer_sequence_end(from);
    for (auto it = boost::asio::buffer_sequence_begin(from); it != end; ++it) {
      const boost::asio::const_buffer piece(*it);
      pieces_.emplace_back(piece.data(), piece.size());
    }
    stream_.writev(pieces_.data(), pieces_.size());
    return boost::asio::buffer_size(from);
  }

  template <class Buffers>
  std::size_t write_some(const Buffers& from, boost::beast::error_code& error) {
    error = {};
    return write_some(from);
  }

 private:
  template <class Buffers>
  static boost::asio::mutable_buffer first_of(const Buffers& all) {
    const auto end = boost::asio::buffer_sequence_end(all);
    for (auto it = boost::asio::buffer_sequence_begin(all); it != end; ++it) {
      const boost::asio::mutable_buffer buffer(*it);
      if (buffer.size() > 0) return buffer;
    }
    return {};
  }

  Stream& stream_;
  std::vector<weft::const_buffer> pieces_;
};

}  // namespace web
