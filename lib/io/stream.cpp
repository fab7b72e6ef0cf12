// Streams and listeners of every kind; see socket.hpp for what stands behind them. And what the
// templates of stream.hpp throw.
#include <weft/stream.hpp>

#include "io/socket.hpp"

namespace weft {

std::size_t stream::read(void* to, std::size_t n) {
  return detail::read_socket(socket_.get(), to, n);
}

void stream::write(const void* from, std::size_t n) {
  const const_buffer all(from, n);
  detail::write_socket(socket_.get(), &all, 1);
}

void stream::writev(const const_buffer* buffers, std::size_t count) {
  detail::write_socket(socket_.get(), buffers, count);
}

void stream::shutdown_write() { detail::shutdown_socket(socket_.get()); }

void stream::close() noexcept {
  if (socket_ != nullptr) socket_->close();
}

int stream::fd() const noexcept { return detail::fd_of(socket_.get()); }

stream::operator bool() const noexcept { return fd() >= 0; }

namespace detail {

void listener::close() noexcept {
  if (socket_ != nullptr) socket_->close();
}

int listener::fd() const noexcept { return fd_of(socket_.get()); }

listener::operator bool() const noexcept { return fd() >= 0; }

void throw_early_end(std::size_t got, std::size_t wanted) {
  throw eof_error("weft: the stream ended after " + std::to_string(got) + " of " +
                  std::to_string(wanted) + " bytes");
}

void throw_too_long(const char* operation, std::size_t limit) {
  throw io_error(std::make_error_code(std::errc::message_size),
                 std::string(operation) + ": more than " + std::to_string(limit) + " bytes");
}

}  // namespace detail
}  // namespace weft
