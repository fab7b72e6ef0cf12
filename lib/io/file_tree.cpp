// Directories and names: each call is one trip to the pool, but stat() mostly finds what it wants
// in the kernel's memory.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <weft/file.hpp>

#include "io/file_name.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace {

using namespace detail;

int result(int code) noexcept { return code < 0 ? -errno : code; }

// A call on the path that a thread of the pool makes.
template <class Call>
void in_pool_or_throw(const char* operation, const char* verb, const std::string& path, Call call) {
  begin_path_call(operation, verb, path);
  const int error = in_file_pool(verb, [&] { return result(call(path.c_str())); });
  if (error < 0) throw_file_error(error, verb, path);
}

int look_at(control& self, const std::string& path, struct ::stat& about) {
#ifdef O_PATH
  const unique_fd there(calls::open_cached(path.c_str(), O_PATH));
  spend_io(self, 0);
  if (there.get() >= 0) return calls::status(there.get(), about);
  if (there.get() == -ENOENT) return -ENOENT;
#else
  (void)self;
#endif
  return in_file_pool("stat", [&] { return result(::stat(path.c_str(), &about)); });
}

std::chrono::system_clock::time_point time_of(const timespec& when) {
  using namespace std::chrono;
  return system_clock::time_point(
      duration_cast<system_clock::duration>(seconds(when.tv_sec) + nanoseconds(when.tv_nsec)));
}

// mkdir -p.
int make_path(std::string path) {
  if (::mkdir(path.c_str(), 0777) == 0) return 0;
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    path[at] = '\0';
    const int error = ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
    // Where a directory exists, some systems name another reason first: the last step decides.
    if (error == ENOENT || error == ENOTDIR) return -error;
    path[at] = '/';
  }
  const int error = ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
  if (error == 0) return 0;
  struct ::stat about;
  const bool there = ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
  return there ? 0 : -error;
}

int list(const std::string& path, std::vector<std::string>& names) {
  struct closer {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
  };
  const std::unique_ptr<DIR, closer> directory(::opendir(path.c_str()));
  if (directory == nullptr) return -errno;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return -errno;
  std::sort(names.begin(), names.end());
  return 0;
}

}  // namespace

file_info stat(const std::string& path) {
  control& self = begin_path_call("stat()", "stat", path);
  struct ::stat about;
  if (const int error = look_at(self, path, about)) throw_file_error(error, "stat", path);
  file_info info;
  info.size = static_cast<std::uint64_t>(about.st_size);
#ifdef __APPLE__
  info.modified = time_of(about.st_mtimespec);
#else
  info.modified = time_of(about.st_mtim);
#endif
  info.is_regular = S_ISREG(about.st_mode);
  info.is_directory = S_ISDIR(about.st_mode);
  info.mode = about.st_mode & 07777;
  return info;
}

bool exists(const std::string& path) {
  control& self = begin_path_call("exists()", "stat", path);
  struct ::stat about;
  const int error = look_at(self, path, about);
  if (error == 0) return true;
  if (error == -ENOENT || error == -ENOTDIR) return false;
  throw_file_error(error, "stat", path);
}

void remove(const std::string& path) {
  in_pool_or_throw("remove()", "remove", path, [](const char* at) { return std::remove(at); });
}

void rename(const std::string& from, const std::string& to) {
  begin_path_call("rename()", "rename", from);
  if (to.find('\0') != std::string::npos) throw_file_error(-EINVAL, "rename to", to);
  const int error =
      in_file_pool("rename", [&] { return result(std::rename(from.c_str(), to.c_str())); });
  if (error != 0) throw_file_error(error, "rename", from + " to " + to);
}

void make_directory(const std::string& path) {
  in_pool_or_throw("make_directory()", "make directory", path,
                   [](const char* at) { return ::mkdir(at, 0777); });
}

void make_directories(const std::string& path) {
  begin_path_call("make_directories()", "make directory", path);
  const int error = in_file_pool("make directory", [&] { return make_path(path); });
  if (error != 0) throw_file_error(error, "make directory", path);
}

std::vector<std::string> list_directory(const std::string& path) {
  begin_path_call("list_directory()", "list", path);
  std::vector<std::string> names;
  const int error = in_file_pool("list", [&] { return list(path, names); });
  if (error != 0) throw_file_error(error, "list", path);
  return names;
}

file make_temp_file(const std::string& directory) {
  begin_path_call("make_temp_file()", "make a temporary file in", directory);
  std::string in = directory;
  if (in.empty()) {
    const char* set = std::getenv("TMPDIR");
    in = set != nullptr && *set != '\0' ? set : "/tmp";
  }
  std::string path;
  const std::string prefix = (in.back() == '/' ? in : in + '/') + "weft-";
  const int fd = in_file_pool(
      "open", [&] { return make_unique_file(prefix, O_RDWR | O_NONBLOCK, 0600, path); });
  if (fd < 0) throw_file_error(fd, "make a temporary file in", in);
  return adopt_file(unique_fd(fd), path, open_mode::read | open_mode::write, 0);
}

}  // namespace weft
