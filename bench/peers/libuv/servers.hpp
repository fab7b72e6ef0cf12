// The servers: echo, and http without a parser. Each thread has a loop and a socket that listens.
#pragma once
#include <uv.h>

#include <string_view>

#include "../common/servers.hpp"

namespace on_libuv {

class connection {
 public:
  static void accept(uv_stream_t* listener, bool http) {
    auto* one = new connection(http);
    uv_tcp_init(listener->loop, &one->tcp_);
    one->tcp_.data = one;
    if (uv_accept(listener, one->stream()) != 0) return one->close();
    uv_tcp_nodelay(&one->tcp_, 1);
    uv_read_start(
        one->stream(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* into) {
          auto& self = *static_cast<connection*>(handle->data);
          const std::size_t room = sizeof self.bytes_ - self.held_;
          *into = uv_buf_init(self.bytes_ + self.held_, static_cast<unsigned>(room));
        },
        [](uv_stream_t* handle, ssize_t n, const uv_buf_t*) {
          auto& self = *static_cast<connection*>(handle->data);
          n < 0 ? self.close() : self.got(static_cast<std::size_t>(n));
        });
  }

 private:
  explicit connection(bool http) : http_(http) {}

  void got(std::size_t n) {
    held_ += n;
    if (http_ && !peer::ends_request(bytes_, held_)) return;
    answer(http_ ? peer::http_answer : std::string_view(bytes_, held_));
    held_ = 0;
  }

  // These answers fit the socket's buffer, as their clients wait for each.
  void answer(std::string_view text) {
    const uv_buf_t from =
        uv_buf_init(const_cast<char*>(text.data()), static_cast<unsigned>(text.size()));
    uv_try_write(stream(), &from, 1);
  }

  void close() {
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp_),
             [](uv_handle_t* handle) { delete static_cast<connection*>(handle->data); });
  }

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  uv_tcp_t tcp_;
  const bool http_;
  std::size_t held_ = 0;
  char bytes_[4096];
};

inline void serve_on_this_thread(long port, bool http) {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &listener);
  uv_tcp_open(&listener, peer::listen_on(port));
  listener.data = &http;
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, [](uv_stream_t* from, int status) {
    if (status == 0) connection::accept(from, *static_cast<bool*>(from->data));
  });
  uv_run(&loop, UV_RUN_DEFAULT);
}

inline int echo(const peer::arguments& given, const peer::report&) {
  return peer::serve_on_threads(given, [](long port) { serve_on_this_thread(port, false); });
}

inline int http(const peer::arguments& given, const peer::report&) {
  return peer::serve_on_threads(given, [](long port) { serve_on_this_thread(port, true); });
}

}  // namespace on_libuv
