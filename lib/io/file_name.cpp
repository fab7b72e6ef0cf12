// See file_name.hpp.
#include "io/file_name.hpp"

#include <fcntl.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/vfs.h>
#endif

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>

#include "base/clock.hpp"
#include "io/file_calls.hpp"

namespace weft::detail {
namespace {

constexpr int most_links = 40;  // as the kernel allows

// Different for each call and process; O_EXCL decides, so it need not be secret.
std::uint64_t fresh_number() noexcept {
  static std::atomic<std::uint64_t> calls{0};
  std::uint64_t z = calls.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15 +
                    static_cast<std::uint64_t>(steady_now()) +
                    (static_cast<std::uint64_t>(getpid()) << 40);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;  // splitmix64
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Links in /proc lead further than the path they show.
bool is_in_proc(const std::string& path) noexcept {
#ifdef __linux__
  constexpr decltype(statfs::f_type) proc = 0x9fa0;
  const std::string in = directory_of(path);
  struct statfs about {};
  return ::statfs(in.empty() ? "." : in.c_str(), &about) == 0 && about.f_type == proc;
#else
  return false;
#endif
}

// Tries names until make() does not find them taken.
template <class Make>
int make_unique(const std::string& prefix, std::string& path, Make make) {
  for (;;) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(fresh_number()));
    path = prefix + digits;
    const int made = make(path.c_str());
    if (made != -EEXIST) return made;
  }
}

}  // namespace

std::string directory_of(const std::string& path) {
  return path.substr(0, path.find_last_of('/') + 1);  // npos + 1 is 0
}

int follow_links(const std::string& path, std::string& target) {
  target = path;
  char next[PATH_MAX];
  for (int i = 0; i < most_links; ++i) {
    const ssize_t length = calls::read_link(target.c_str(), next, sizeof next);
    if (length < 0) {
      const bool is_last = length == -EINVAL || length == -ENOENT;
      return is_last ? 0 : static_cast<int>(length);
    }
    if (length == sizeof next) return -ENAMETOOLONG;
    if (is_in_proc(target)) return more_than_a_path;
    const std::string link(next, static_cast<std::size_t>(length));
    target = link[0] == '/' ? link : directory_of(target).append(link);
  }
  return -ELOOP;
}

int make_unique_file(const std::string& prefix, int flags, unsigned permissions,
                     std::string& path) {
  return make_unique(prefix, path, [&](const char* at) {
    return calls::open(at, flags | O_CREAT | O_EXCL, permissions);
  });
}

int make_unique_directory(const std::string& prefix, std::string& path) {
  return make_unique(prefix, path,
                     [](const char* at) { return ::mkdir(at, 0700) == 0 ? 0 : -errno; });
}

}  // namespace weft::detail
