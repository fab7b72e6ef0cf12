// file::writev: the three ways of file::write in file.cpp, for several buffers.
#include <weft/file.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace detail {
namespace {

constexpr std::size_t most_pieces = IOV_MAX;  // in one system call

// The buffers, as far as they are not written yet.
class pieces_left {
 public:
  pieces_left(const const_buffer* buffers, std::size_t count) {
    pieces_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (buffers[i].size() == 0) continue;
      pieces_.push_back({const_cast<void*>(buffers[i].data()), buffers[i].size()});
    }
  }

  bool empty() const noexcept { return first_ == pieces_.size(); }

  // Hands at most so many bytes to put(pieces, count), and counts those it has written.
  template <class Put>
  ssize_t write_some(std::size_t most, const Put& put) {
    std::size_t end = first_;
    std::size_t bytes = 0;
    while (end < pieces_.size() && end - first_ < most_pieces && bytes < most)
      bytes += pieces_[end++].iov_len;
    iovec& last = pieces_[end - 1];
    const std::size_t whole = last.iov_len;
    last.iov_len -= bytes - std::min(bytes, most);
    const ssize_t got = put(&pieces_[first_], static_cast<int>(end - first_));
    last.iov_len = whole;
    if (got > 0) drop(static_cast<std::size_t>(got));
    return got != 0 ? got : -EIO;
  }

 private:
  void drop(std::size_t n) noexcept {
    for (; n >= pieces_[first_].iov_len; ++first_) {
      n -= pieces_[first_].iov_len;
      if (n == 0) {
        ++first_;
        return;
      }
    }
    iovec& part = pieces_[first_];
    part.iov_base = static_cast<char*>(part.iov_base) + n;
    part.iov_len -= n;
  }

  std::vector<iovec> pieces_;
  std::size_t first_ = 0;
};

void write_offsets(file_use& use, pieces_left& left) {
  const position_hold hold(use);
  const int fd = use.file().fd();
  std::uint64_t& at = use.file().position;
  const stop_request stop(use.self());
  const int error = in_file_pool("write", [&] {
    while (!left.empty() && !stop) {
      const std::uint64_t room = std::min<std::uint64_t>(pool_step, INT64_MAX - at);
      if (room == 0) return -EFBIG;
      const ssize_t put = left.write_some(room, [&](const iovec* some, int count) {
        return calls::write_pieces_at(fd, some, count, at);
      });
      if (put < 0) return static_cast<int>(put);
      at += static_cast<std::uint64_t>(put);
    }
    return 0;
  });
  finish_write(use, error, left.empty());
}

// Appending, whole whatever is cancelled, and devices.
void write_stream(file_use& use, pieces_left& left) {
  const int fd = use.file().fd();
  while (!left.empty()) {
    const int error = in_file_pool("write", [&] {
      while (!left.empty()) {
        const ssize_t put = left.write_some(SIZE_MAX, [fd](const iovec* some, int count) {
          return calls::write_pieces(fd, some, count);
        });
        if (put < 0) return static_cast<int>(put);
      }
      return 0;
    });
    if (error == -EAGAIN)
      use.wait_ready(direction::write);
    else if (error != 0)
      use.fail(error);
  }
}

void write_pipe(file_use& use, pieces_left& left) {
  const int fd = use.file().fd();
  while (!left.empty()) {
    const ssize_t put = left.write_some(place_step, [fd](const iovec* some, int count) {
      return calls::write_pieces(fd, some, count);
    });
    if (put == -EAGAIN) {
      use.wait_ready(direction::write);
      continue;
    }
    if (put < 0) use.fail(static_cast<int>(put));
    spend_io(use.self(), static_cast<std::size_t>(put));
    if (left.empty()) return;
    give_way(use.self());
    deliver_cancellation(use.self());
  }
}

}  // namespace
}  // namespace detail

void file::writev(const const_buffer* buffers, std::size_t count) {
  detail::file_use use(state_.get(), "file::writev()", "write");
  detail::pieces_left left(buffers, count);
  if (left.empty()) return;
  use.note_written();
  if (use.kind() == detail::file_kind::pipe)
    detail::write_pipe(use, left);
  else if (use.kind() == detail::file_kind::device || use.file().appends)
    detail::write_stream(use, left);
  else
    detail::write_offsets(use, left);
}

}  // namespace weft
