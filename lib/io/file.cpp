// Operations on an open file: weft/file.hpp says what they promise, file_state.hpp by which rules.
#include <weft/file.hpp>

#include <algorithm>
#include <cerrno>

#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace detail {
namespace {

void check_offset(file_use& use, std::uint64_t offset) {
  if (offset > INT64_MAX) use.fail(-EINVAL);
}

// No file goes on there, but a kernel may call it an invalid argument to ask.
std::size_t below_the_limit(std::size_t n, std::uint64_t at) noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(n, INT64_MAX - at));
}

// How far a call has come; the error is only meant for bytes that come after `done`.
struct progress {
  std::size_t done = 0;
  int error = 0;
  bool at_end = false;
};

// After a short read, which may as well have come to pages that are not cached.
bool is_at_end(int fd, std::uint64_t at) noexcept {
  struct ::stat about;
  return calls::status(fd, about) == 0 && at >= static_cast<std::uint64_t>(about.st_size);
}

// What the page cache has of it: until n, the end, an error, or -EAGAIN for "the pool goes on".
progress read_cached(file_use& use, char* to, std::size_t n, std::uint64_t at) {
  file_state& file = use.file();
  const stop_request stop(use.self());
  progress so_far;
  while (so_far.done < n) {
    const std::size_t want = std::min(n - so_far.done, place_step);
    const ssize_t got =
        calls::read_in_place(file.fd(), file.way, to + so_far.done, want, at + so_far.done);
    if (got <= 0) {
      so_far.error = static_cast<int>(got);
      so_far.at_end = got == 0;
      return so_far;
    }
    const auto bytes = static_cast<std::size_t>(got);
    spend_io(use.self(), bytes);
    so_far.done += bytes;
    if (bytes < want && is_at_end(file.fd(), at + so_far.done)) {
      so_far.at_end = true;
      return so_far;
    }
    if (so_far.done < n) give_way(use.self());
    if (stop) return so_far;
  }
  return so_far;
}

// What one call can do that needs to know neither kind nor size of the file: all n bytes are
// cached. Returns how many, or -1 if nothing was read; then the kind is known.
ssize_t read_at_once(file_use& use, void* to, std::size_t n, std::uint64_t at) {
  file_state& file = use.file();
  ssize_t got = -1;
  if (n <= place_step && file.way.load(std::memory_order_relaxed) == calls::read_way::cached)
    got = calls::read_cached(file.fd(), to, n, at);
  if (got != static_cast<ssize_t>(n)) {
    const bool regular = use.kind() == file_kind::regular;
    if (got <= 0) return -1;
    // A regular file that ends later has pages that are not cached.
    if (regular && !is_at_end(file.fd(), at + static_cast<std::uint64_t>(got))) return -1;
  }
  spend_io(use.self(), static_cast<std::size_t>(got));
  return got;
}

// The rest, on a thread of the pool. `streamed`: some files of /proc have no offsets.
progress read_in_pool(file_use& use, char* to, std::size_t n, std::uint64_t at, bool streamed) {
  const int fd = use.file().fd();
  const stop_request stop(use.self());
  return in_file_pool("read", [&] {
    progress so_far;
    while (so_far.done < n && !stop) {
      const std::size_t want = std::min(n - so_far.done, pool_step);
      ssize_t got = calls::read_at(fd, to + so_far.done, want, at + so_far.done);
      if (got == -ESPIPE && streamed) got = calls::read(fd, to + so_far.done, want);
      if (got <= 0) {
        so_far.error = static_cast<int>(got);
        so_far.at_end = got == 0;
        break;
      }
      so_far.done += static_cast<std::size_t>(got);
    }
    return so_far;
  });
}

std::size_t read_offsets(file_use& use, void* into, std::size_t n, std::uint64_t at,
                         bool streamed) {
  if (n == 0) return 0;
  auto* to = static_cast<char*>(into);
  const stop_request stop(use.self());
  std::size_t done = 0;
  if (use.kind() == file_kind::regular) {
    const progress cached = read_cached(use, to, n, at);
    done = cached.done;
    if (done == n || cached.at_end || (stop && done > 0)) return done;
    if (cached.error != -EAGAIN) {
      if (done > 0) return done;
      use.fail(cached.error);
    }
  }
  for (;;) {
    progress rest;
    try {
      rest = read_in_pool(use, to + done, n - done, at + done, streamed);
    } catch (const cancelled&) {
      if (done == 0) throw;
      return done;  // the next call throws it again
    }
    done += rest.done;
    if (done > 0 || rest.at_end) return done;
    if (rest.error == 0) throw_cancelled();
    if (rest.error != -EAGAIN) use.fail(rest.error);
    use.wait_ready(direction::read);
  }
}

// A pipe: reads in place, and parks until there is something.
std::size_t read_pipe(file_use& use, void* to, std::size_t n) {
  file_state& file = use.file();
  if (n > 0 && file.awaits_writer.load(std::memory_order_relaxed)) {
    // Without a writer a read says "end". The watch says nothing until one has come.
    use.wait_ready(direction::read);
    file.awaits_writer.store(false, std::memory_order_relaxed);
  }
  for (;;) {
    const ssize_t got = calls::read(file.fd(), to, std::min(n, place_step));
    if (got >= 0) {
      spend_io(use.self(), static_cast<std::size_t>(got));
      return static_cast<std::size_t>(got);
    }
    if (got != -EAGAIN) use.fail(static_cast<int>(got));
    use.wait_ready(direction::read);
  }
}

std::size_t read_device(file_use& use, void* to, std::size_t n) {
  const int fd = use.file().fd();
  for (;;) {
    const ssize_t got =
        in_file_pool("read", [&] { return calls::read(fd, to, std::min(n, pool_step)); });
    if (got >= 0) return static_cast<std::size_t>(got);
    if (got != -EAGAIN) use.fail(static_cast<int>(got));
    use.wait_ready(direction::read);
  }
}

progress write_offsets(file_use& use, const char* from, std::size_t n, std::uint64_t at) {
  const int fd = use.file().fd();
  const stop_request stop(use.self());
  return in_file_pool("write", [&] {
    progress so_far;
    while (so_far.done < n && !stop) {
      const std::size_t room = below_the_limit(n - so_far.done, at + so_far.done);
      const std::size_t want = std::min(room, pool_step);
      const ssize_t put =
          want == 0 ? -EFBIG : calls::write_at(fd, from + so_far.done, want, at + so_far.done);
      if (put <= 0) {
        so_far.error = put < 0 ? static_cast<int>(put) : -EIO;
        break;
      }
      so_far.done += static_cast<std::size_t>(put);
    }
    return so_far;
  });
}

void write_pipe(file_use& use, const char* from, std::size_t n) {
  while (n > 0) {
    const ssize_t put = calls::write(use.file().fd(), from, std::min(n, place_step));
    if (put == -EAGAIN) {
      use.wait_ready(direction::write);
      continue;
    }
    if (put < 0) use.fail(static_cast<int>(put));
    const auto bytes = static_cast<std::size_t>(put);
    spend_io(use.self(), bytes);
    from += bytes;
    n -= bytes;
    if (n == 0) return;
    give_way(use.self());
    deliver_cancellation(use.self());
  }
}

// Appending, without looking at cancellation between its parts, and devices.
void write_stream(file_use& use, const char* from, std::size_t n) {
  const int fd = use.file().fd();
  while (n > 0) {
    const progress so_far = in_file_pool("write", [&] {
      progress part;
      while (part.done < n && part.error == 0) {
        const ssize_t put = calls::write(fd, from + part.done, n - part.done);
        if (put <= 0)
          part.error = put < 0 ? static_cast<int>(put) : -EIO;
        else
          part.done += static_cast<std::size_t>(put);
      }
      return part;
    });
    from += so_far.done;
    n -= so_far.done;
    if (so_far.error == -EAGAIN)
      use.wait_ready(direction::write);
    else if (so_far.error != 0)
      use.fail(so_far.error);
  }
}

}  // namespace

void file_closer::operator()(file_state* state) const noexcept {
  if (!state->closed()) state->close();
  state->orphan();
}

}  // namespace detail

using detail::file_kind;
using detail::file_use;
using detail::position_hold;

std::size_t file::read(void* to, std::size_t n) {
  file_use use(state_.get(), "file::read()", "read");
  if (use.may_be_regular()) {
    const position_hold hold(use);
    std::uint64_t& position = use.file().position;
    n = detail::below_the_limit(n, position);
    const ssize_t once = detail::read_at_once(use, to, n, position);
    if (once >= 0 || use.kind() == file_kind::regular) {
      const std::size_t got = once >= 0 ? static_cast<std::size_t>(once)
                                        : detail::read_offsets(use, to, n, position, true);
      position += got;
      return got;
    }
  }
  return use.kind() == file_kind::pipe ? detail::read_pipe(use, to, n)
                                       : detail::read_device(use, to, n);
}

std::size_t file::read_at(void* to, std::size_t n, std::uint64_t offset) {
  file_use use(state_.get(), "file::read_at()", "read");
  detail::check_offset(use, offset);
  n = detail::below_the_limit(n, offset);
  const ssize_t once = use.may_be_regular() ? detail::read_at_once(use, to, n, offset) : -1;
  return once >= 0 ? static_cast<std::size_t>(once)
                   : detail::read_offsets(use, to, n, offset, false);
}

void file::write(const void* from, std::size_t n) {
  file_use use(state_.get(), "file::write()", "write");
  if (n == 0) return;
  const auto* bytes = static_cast<const char*>(from);
  use.note_written();
  if (use.kind() == file_kind::pipe) return detail::write_pipe(use, bytes, n);
  if (use.kind() == file_kind::device || use.file().appends)
    return detail::write_stream(use, bytes, n);
  const position_hold hold(use);
  const detail::progress so_far = detail::write_offsets(use, bytes, n, use.file().position);
  use.file().position += so_far.done;
  detail::finish_write(use, so_far.error, so_far.done == n);
}

void file::write_at(const void* from, std::size_t n, std::uint64_t offset) {
  file_use use(state_.get(), "file::write_at()", "write");
  detail::check_offset(use, offset);
  if (use.file().appends) use.fail(-EINVAL);  // Linux would write to the end
  if (n == 0) return;
  use.note_written();
  const auto* bytes = static_cast<const char*>(from);
  const detail::progress so_far = detail::write_offsets(use, bytes, n, offset);
  detail::finish_write(use, so_far.error, so_far.done == n);
}

std::uint64_t file::position() const {
  file_use use(state_.get(), "file::position()", "tell the position of");
  const position_hold hold(use);
  if (use.kind() != file_kind::regular) use.fail(-ESPIPE);
  return use.file().position;
}

void file::seek(std::uint64_t offset) {
  file_use use(state_.get(), "file::seek()", "set the position of");
  const position_hold hold(use);
  if (use.kind() != file_kind::regular) use.fail(-ESPIPE);
  detail::check_offset(use, offset);
  use.file().position = offset;
}

file_info file::info() const {
  file_use use(state_.get(), "file::info()", "stat");
  struct ::stat about;
  if (const int error = detail::calls::status(use.file().fd(), about)) use.fail(error);
  return detail::info_of(about);
}

std::uint64_t file::size() const { return info().size; }

void file::truncate(std::uint64_t size) {
  file_use use(state_.get(), "file::truncate()", "truncate");
  detail::check_offset(use, size);
  use.note_written();
  const int fd = use.file().fd();
  const int error =
      detail::in_file_pool("truncate", [=] { return detail::calls::truncate(fd, size); });
  if (error != 0) use.fail(error);
}

void file::sync() {
  file_use use(state_.get(), "file::sync()", "sync");
  const int fd = use.file().fd();
  const int error = detail::in_file_pool("sync", [fd] { return detail::calls::sync(fd); });
  if (error != 0) use.fail(error);
}

void file::datasync() {
  file_use use(state_.get(), "file::datasync()", "sync");
  const int fd = use.file().fd();
  const int error = detail::in_file_pool("sync", [fd] { return detail::calls::datasync(fd); });
  if (error != 0) use.fail(error);
}

void file::close() {
  if (state_ == nullptr) return;
  if (const int error = state_->close()) detail::throw_file_error(error, "close", state_->path);
}

file::operator bool() const noexcept { return state_ != nullptr && !state_->closed(); }

int file::fd() const {
  const std::string& opened = path();
  const int fd = state_->closed() ? -1 : state_->fd();
  if (fd < 0) detail::throw_file_error(-EBADF, "tell the descriptor of", opened);
  return fd;
}

const std::string& file::path() const {
  if (state_ == nullptr)
    detail::throw_file_error(-EBADF, "name", "(no file: default-made or moved from)");
  return state_->path;
}

}  // namespace weft
