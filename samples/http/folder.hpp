// A folder whose files are served, and nothing beside it: the kernel sees to it that neither ".."
// nor a symbolic link leads out, whatever is renamed meanwhile (openat2, Linux 5.6).
#pragma once
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <weft/blocking.hpp>

#include "http/message.hpp"
#include "support/descriptor.hpp"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20  // Linux 5.12
#endif

namespace web {

struct opened_file {
  descriptor file;
  struct stat about {};

  bool is_directory() const noexcept { return S_ISDIR(about.st_mode); }
  bool is_regular() const noexcept { return S_ISREG(about.st_mode); }
  std::uint64_t size() const noexcept { return static_cast<std::uint64_t>(about.st_size); }
};

class folder {
 public:
  explicit folder(const std::string& path)
      : root_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    const descriptor itself(open_beneath(".", 0));
    if (itself.get() < 0) throw std::system_error(errno, std::generic_category(), path);
  }

  // Parks while the disk is waited for. Throws: refused.
  opened_file open(const std::string& name) const {
    int fd = open_beneath(name, RESOLVE_CACHED);
    if (fd < 0 && (errno == EAGAIN || errno == EINVAL)) {  // not in memory, or an old kernel
      int error = 0;
      fd = weft::blocking([&] {
        const int made = open_beneath(name, 0);
        error = errno;
        return made;
      });
      errno = error;
    }
    if (fd < 0) throw refused(status_of(errno));
    opened_file made{descriptor(fd)};
    if (::fstat(fd, &made.about) != 0) throw refused(status_of(errno));
    return made;
  }

 private:
  // A pipe without a writer, or a terminal, is not to be waited for.
  int open_beneath(const std::string& name, unsigned resolve) const {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve;
    return static_cast<int>(::syscall(SYS_openat2, root_.get(), name.c_str(), &how, sizeof how));
  }

  static status status_of(int error) {
    switch (error) {
      case EACCES:
      case EPERM:
        return status::forbidden;
      case EMFILE:
      case ENFILE:
      case ENOMEM:
        return status::service_unavailable;
      default:  // what is not there, what leads outside, what is no file
        return status::not_found;
    }
  }

  descriptor root_;
};

}  // namespace web
