// Opening files: in place if the path is cached, otherwise by a thread of the pool.
//
// (1) Always with O_NONBLOCK, so that no pipe keeps a thread: a pipe opened to read waits for its
//     writer by readiness, in its first read. One opened to write says ENXIO until it has a reader,
//     and the kernel has no event for that: so it is tried again after a while.
#include <weft/file.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <weft/time.hpp>

#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace {

using namespace detail;

// Between two tries to open a pipe that has no reader.
constexpr std::chrono::milliseconds first_pause{1};
constexpr std::chrono::milliseconds longest_pause{50};

bool has(open_mode mode, open_mode one) noexcept {
  return (static_cast<unsigned>(mode) & static_cast<unsigned>(one)) != 0;
}

// Negative if the combination makes no sense.
int flags_of(open_mode mode) noexcept {
  constexpr unsigned known = 2 * static_cast<unsigned>(open_mode::exclusive) - 1;
  if ((static_cast<unsigned>(mode) & ~known) != 0) return -EINVAL;
  const bool writes = has(mode, open_mode::write) || has(mode, open_mode::append);
  const bool reads = has(mode, open_mode::read) || !writes;
  if (!writes && has(mode, open_mode::truncate)) return -EINVAL;
  int flags = O_NONBLOCK | O_NOCTTY;
  flags |= !writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY;
  if (has(mode, open_mode::append)) flags |= O_APPEND;
  if (has(mode, open_mode::truncate)) flags |= O_TRUNC;
  if (has(mode, open_mode::create)) flags |= O_CREAT;
  if (has(mode, open_mode::exclusive)) flags |= O_CREAT | O_EXCL;
  return flags;
}

bool lacks_reader(int error, const char* path) noexcept {
  struct ::stat about;
  return error == -ENXIO && ::stat(path, &about) == 0 && S_ISFIFO(about.st_mode);
}

int open_in_pool(const std::string& path, int flags, unsigned permissions) {
  constexpr int wait = -EAGAIN;
  auto pause = first_pause;
  for (;;) {
    const int got = in_file_pool("open", [&] {
      const int fd = calls::open(path.c_str(), flags, permissions);
      return lacks_reader(fd, path.c_str()) ? wait : fd;
    });
    if (got != wait) return got;
    sleep(pause);
    pause = std::min(pause * 2, longest_pause);
  }
}

}  // namespace

file open_file(const std::string& path, open_mode mode, unsigned permissions) {
  control& self = begin_path_call("open_file()", "open", path);
  const int flags = flags_of(mode);
  if (flags < 0) throw_file_error(flags, "open", path);
  int fd = -EAGAIN;
  if ((flags & (O_CREAT | O_TRUNC)) == 0) {
    fd = calls::open_cached(path.c_str(), flags);
    spend_io(self, 0);
  }
  if (fd == -EAGAIN) fd = open_in_pool(path, flags, permissions);
  if (fd < 0) throw_file_error(fd, "open", path);
  return adopt_file(unique_fd(fd), path, mode, 0);
}

}  // namespace weft
