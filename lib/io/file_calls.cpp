// See file_calls.hpp.
#include "io/file_calls.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "io/direct_calls.hpp"

#ifdef __linux__
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

namespace weft::detail::calls {

#if defined(__linux__) && defined(SYS_openat2)

__attribute__((noinline)) int open_cached(const char* path, int flags) noexcept {
  // struct open_how and RESOLVE_CACHED of linux/openat2.h, which older headers lack.
  struct {
    std::uint64_t flags, mode, resolve;
  } how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = 0x20;
  static std::atomic<bool> missing{false};  // Linux before 5.6
  if (missing.load(std::memory_order_relaxed)) return -EAGAIN;
  const auto got = repeat([&] { return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how); });
  if (got == -ENOSYS) missing.store(true, std::memory_order_relaxed);
  // Before 5.12 EINVAL, under some sandboxes EPERM: the plain call decides.
  if (got >= 0 || got == -ENOENT) return static_cast<int>(got);
  return -EAGAIN;
}

#else

int open_cached(const char*, int) noexcept { return -EAGAIN; }

#endif

__attribute__((noinline)) int open(const char* path, int flags, unsigned permissions) noexcept {
  flags |= O_CLOEXEC;
  const int got = repeat([&] { return ::open(path, flags, permissions); });
  // A file that another process has leased: this thread may wait until it gives the lease up.
  if (got == -EWOULDBLOCK)
    return repeat([&] { return ::open(path, flags & ~O_NONBLOCK, permissions); });
  return got;
}

__attribute__((noinline)) int open_at(int directory, const char* name, int flags) noexcept {
  return repeat([&] { return ::openat(directory, name, flags | O_CLOEXEC); });
}

__attribute__((noinline)) int remove_at(int directory, const char* name, int flags) noexcept {
  return repeat([&] { return ::unlinkat(directory, name, flags); });
}

__attribute__((noinline)) ssize_t read_link(const char* path, char* to, std::size_t n) noexcept {
  return repeat([&] { return ::readlink(path, to, n); });
}

__attribute__((noinline)) int close(int fd) noexcept {
  // Never repeated: after EINTR Linux has closed it.
#if WEFT_DIRECT_CALLS
  if (syscall(SYS_close, fd) == 0) return 0;
#else
  if (::close(fd) == 0) return 0;
#endif
  const int error = errno;
  return error == EINTR ? 0 : -error;
}

__attribute__((noinline)) int duplicate(int fd) noexcept {
  return repeat([&] { return fcntl(fd, F_DUPFD_CLOEXEC, 0); });
}

__attribute__((noinline)) bool tells_bytes(int fd) noexcept {
  int ignored = 0;
  return ioctl(fd, FIONREAD, &ignored) == 0;
}

__attribute__((noinline)) int status(int fd, struct stat& out) noexcept {
  return repeat([&] { return fstat(fd, &out); });
}

__attribute__((noinline)) int truncate(int fd, std::uint64_t size) noexcept {
  return repeat([&] { return ftruncate(fd, static_cast<off_t>(size)); });
}

__attribute__((noinline)) int sync(int fd) noexcept {
  return repeat([&] { return fsync(fd); });
}

__attribute__((noinline)) int datasync(int fd) noexcept {
#ifdef __linux__
  return repeat([&] { return fdatasync(fd); });
#else
  return sync(fd);
#endif
}

__attribute__((noinline)) ssize_t read(int fd, void* to, std::size_t n) noexcept {
  return repeat([&] { return ::read(fd, to, n); });
}

__attribute__((noinline)) ssize_t write(int fd, const void* from, std::size_t n) noexcept {
  return repeat([&] { return ::write(fd, from, n); });
}

__attribute__((noinline)) ssize_t read_at(int fd, void* to, std::size_t n,
                                          std::uint64_t at) noexcept {
  return repeat([&] { return ::pread(fd, to, n, static_cast<off_t>(at)); });
}

__attribute__((noinline)) ssize_t write_at(int fd, const void* from, std::size_t n,
                                           std::uint64_t at) noexcept {
  return repeat([&] { return ::pwrite(fd, from, n, static_cast<off_t>(at)); });
}

__attribute__((noinline)) ssize_t write_pieces(int fd, const iovec* pieces, int count) noexcept {
  return repeat([&] { return ::writev(fd, pieces, count); });
}

__attribute__((noinline)) ssize_t write_pieces_at(int fd, const iovec* pieces, int count,
                                                  std::uint64_t at) noexcept {
  return repeat([&] { return ::pwritev(fd, pieces, count, static_cast<off_t>(at)); });
}

#ifdef __linux__

__attribute__((noinline)) ssize_t copy_range(int from, int to, std::size_t n) noexcept {
  return repeat([&] { return ::copy_file_range(from, nullptr, to, nullptr, n, 0); });
}

#else

ssize_t copy_range(int, int, std::size_t) noexcept { return -EINVAL; }

#endif

#if defined(__linux__) && defined(RWF_NOWAIT)

namespace {

// tmpfs has no RWF_NOWAIT, and needs none: what it holds is memory, or swapped out as memory is.
bool lives_in_memory(int fd) noexcept {
  constexpr auto tmpfs = 0x01021994;  // TMPFS_MAGIC of linux/magic.h
  struct statfs about {};
  return fstatfs(fd, &about) == 0 && about.f_type == tmpfs;
}

}  // namespace

__attribute__((noinline)) ssize_t read_cached(int fd, void* to, std::size_t n,
                                              std::uint64_t at) noexcept {
  const iovec room{to, n};
#if WEFT_DIRECT_CALLS
  return repeat([&] { return syscall(SYS_preadv2, fd, &room, 1L, at, 0L, RWF_NOWAIT); });
#else
  return repeat([&] { return preadv2(fd, &room, 1, static_cast<off_t>(at), RWF_NOWAIT); });
#endif
}

__attribute__((noinline)) ssize_t read_in_place(int fd, std::atomic<read_way>& way, void* to,
                                                std::size_t n, std::uint64_t at) noexcept {
  if (way.load(std::memory_order_relaxed) == read_way::cached) {
    const ssize_t got = read_cached(fd, to, n, at);
    if (got > 0 || n == 0) return got;
    if (got == 0) {
      // Linux 5.9 and 5.10 also say 0 where nothing is cached: preadv2(2), BUGS.
      struct stat about;
      const bool at_end = fstat(fd, &about) == 0 && at >= static_cast<std::uint64_t>(about.st_size);
      return at_end ? 0 : -EAGAIN;
    }
    if (got != -EOPNOTSUPP && got != -EINVAL && got != -ENOSYS) return got;
    way.store(lives_in_memory(fd) ? read_way::memory : read_way::thread, std::memory_order_relaxed);
  }
  if (way.load(std::memory_order_relaxed) == read_way::memory) return read_at(fd, to, n, at);
  return -EAGAIN;
}

#else

ssize_t read_cached(int, void*, std::size_t, std::uint64_t) noexcept { return -EOPNOTSUPP; }

ssize_t read_in_place(int, std::atomic<read_way>&, void*, std::size_t, std::uint64_t) noexcept {
  return -EAGAIN;
}

#endif

}  // namespace weft::detail::calls
