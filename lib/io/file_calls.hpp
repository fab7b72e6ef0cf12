// System calls on files, as functions that return -errno.
// Called by fibers, where they cannot block, and by threads of the pool.
//
// (1) A fiber never reads errno: it belongs to a thread, and compilers keep its address over a park
//     (invariant 4 of docs/architecture.md). So these stand out of line.
// (2) Interrupted calls are repeated, and every descriptor is close-on-exec.
#pragma once
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace weft::detail::calls {

// Opens if every part of the path is in the kernel's memory, otherwise says -EAGAIN. Never blocks,
// provided that the flags have O_NONBLOCK or O_PATH and neither create nor truncate.
int open_cached(const char* path, int flags) noexcept;

int open(const char* path, int flags, unsigned permissions) noexcept;
int open_at(int directory, const char* name, int flags) noexcept;
int remove_at(int directory, const char* name, int flags) noexcept;  // unlinkat
ssize_t read_link(const char* path, char* to, std::size_t n) noexcept;
int close(int fd) noexcept;
int duplicate(int fd) noexcept;
// What is open is certainly not a directory; asks neither a disk nor a server.
bool tells_bytes(int fd) noexcept;
int status(int fd, struct stat& out) noexcept;
int truncate(int fd, std::uint64_t size) noexcept;
int sync(int fd) noexcept;
int datasync(int fd) noexcept;

// One call each; read and write use the descriptor's own position.
ssize_t read(int fd, void* to, std::size_t n) noexcept;
ssize_t write(int fd, const void* from, std::size_t n) noexcept;
ssize_t read_at(int fd, void* to, std::size_t n, std::uint64_t at) noexcept;
ssize_t write_at(int fd, const void* from, std::size_t n, std::uint64_t at) noexcept;
ssize_t write_pieces(int fd, const iovec* pieces, int count) noexcept;
ssize_t write_pieces_at(int fd, const iovec* pieces, int count, std::uint64_t at) noexcept;

// Copies within the kernel, from one position to the other; perhaps it can't: then -EINVAL or such.
ssize_t copy_range(int from, int to, std::size_t n) noexcept;

// How a regular file can be read: in place as far as it is cached; in place always, since its pages
// are memory like the process's own (tmpfs); or by a thread only.
enum class read_way : unsigned char { cached, memory, thread };

// Reads what is cached, or says why not; nothing of `way` below.
ssize_t read_cached(int fd, void* to, std::size_t n, std::uint64_t at) noexcept;

// Reads without blocking, or says -EAGAIN. Corrects `way` by what the file system can do.
ssize_t read_in_place(int fd, std::atomic<read_way>& way, void* to, std::size_t n,
                      std::uint64_t at) noexcept;

}  // namespace weft::detail::calls

namespace weft::detail {

// Closes in place what it holds.
class unique_fd {
 public:
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    const int before = std::exchange(fd_, other.release());
    if (before >= 0) calls::close(before);
    return *this;
  }
  ~unique_fd() {
    if (fd_ >= 0) calls::close(fd_);
  }

  int get() const noexcept { return fd_; }  // or the negative error it was made with
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace weft::detail
