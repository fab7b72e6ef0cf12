// What an answer carries: text, or a part of a file, which is read while it is sent. To Boost.Beast
// this is a Body.
#pragma once
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <weft/fd.hpp>

#include "support/descriptor.hpp"

namespace web {

struct content {
  struct value_type {
    std::string text;
    descriptor file;               // instead of the text, if there is one:
    std::uint64_t file_bytes = 0;  // so many from where it stands
  };

  static std::uint64_t size(const value_type& body) {
    return body.file.get() >= 0 ? body.file_bytes : body.text.size();
  }

  class writer {
   public:
    using const_buffers_type = boost::asio::const_buffer;
    using piece = boost::optional<std::pair<const_buffers_type, bool>>;  // and whether more follows

    template <bool is_request, class Fields>
    writer(const boost::beast::http::header<is_request, Fields>&, const value_type& body)
        : body_(body) {}

    void init(boost::beast::error_code& error) {
      error = {};
      left_ = size(body_);
    }

    // Parks while the disk is waited for.
    piece get(boost::beast::error_code& error) {
      error = {};
      if (left_ == 0) return boost::none;
      if (body_.file.get() < 0) return {{boost::asio::buffer(body_.text), false}};
      piece_.resize(static_cast<std::size_t>(std::min(left_, piece_bytes)));
      const std::size_t n = weft::read(body_.file.get(), piece_);
      left_ -= n;
      if (n == 0) error = boost::beast::http::error::partial_message;  // it has become shorter
      return {{boost::asio::buffer(piece_.data(), n), left_ > 0}};
    }

   private:
    static constexpr std::uint64_t piece_bytes = 64 * 1024;

    const value_type& body_;
    std::uint64_t left_ = 0;
    std::string piece_;
  };
};

}  // namespace web
