// Directories and names: each call is one trip to the pool, but stat() mostly finds what it wants
// in the kernel's memory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <weft/file.hpp>

#include "io/file_list.hpp"
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

// Looks at what is there, or with O_NOFOLLOW at a symbolic link itself.
int look_at(control& self, const std::string& path, struct ::stat& about, int flags = 0) {
#ifdef O_PATH
  const unique_fd there(calls::open_cached(path.c_str(), O_PATH | flags));
  spend_io(self, 0);
  if (there.get() >= 0) return calls::status(there.get(), about);
  if (there.get() == -ENOENT) return -ENOENT;
#else
  (void)self;
#endif
  return in_file_pool("stat", [&] {
    const char* const at = path.c_str();
    return result(flags == O_NOFOLLOW ? ::lstat(at, &about) : ::stat(at, &about));
  });
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

int list(const std::string& path, const stop_request& stop, std::vector<std::string>& names) {
  name_list all;
  if (const int error = all.open(AT_FDCWD, path.c_str(), name_list::links::last)) return error;
  while (!all.at_end() && !stop) {
    if (const int error = all.read_batch()) return error;
    while (const char* name = all.next()) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return 0;
}

// Where temporary things are made, up to their number.
std::string temporary_prefix(const std::string& directory) {
  std::string in = directory;
  if (in.empty()) {
    const char* set = std::getenv("TMPDIR");
    in = set != nullptr && *set != '\0' ? set : "/tmp";
  }
  return (in.back() == '/' ? in : in + '/') + "weft-";
}

}  // namespace

file_info detail::info_of(const struct ::stat& about) noexcept {
  file_info info;
  info.size = static_cast<std::uint64_t>(about.st_size);
#ifdef __APPLE__
  info.modified = time_of(about.st_mtimespec);
  info.accessed = time_of(about.st_atimespec);
#else
  info.modified = time_of(about.st_mtim);
  info.accessed = time_of(about.st_atim);
#endif
  info.is_regular = S_ISREG(about.st_mode);
  info.is_directory = S_ISDIR(about.st_mode);
  info.is_symlink = S_ISLNK(about.st_mode);
  info.mode = about.st_mode & 07777;
  info.owner = about.st_uid;
  info.group = about.st_gid;
  info.links = about.st_nlink;
  info.device = about.st_dev;
  info.inode = about.st_ino;
  return info;
}

file_info stat(const std::string& path) {
  control& self = begin_path_call("stat()", "stat", path);
  struct ::stat about;
  if (const int error = look_at(self, path, about)) throw_file_error(error, "stat", path);
  return info_of(about);
}

file_info link_info(const std::string& path) {
  control& self = begin_path_call("link_info()", "stat", path);
  struct ::stat about;
  if (const int error = look_at(self, path, about, O_NOFOLLOW))
    throw_file_error(error, "stat", path);
  return info_of(about);
}

bool exists(const std::string& path) {
  control& self = begin_path_call("exists()", "stat", path);
  struct ::stat about;
  const int error = look_at(self, path, about);
  if (error == 0) return true;
  if (error == -ENOENT || error == -ENOTDIR) return false;
  throw_file_error(error, "stat", path);
}

void set_permissions(const std::string& path, unsigned mode) {
  in_pool_or_throw("set_permissions()", "set the permissions of", path,
                   [mode](const char* at) { return ::chmod(at, static_cast<mode_t>(mode)); });
}

void set_modified(const std::string& path, std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  const auto whole = floor<seconds>(when.time_since_epoch());
  timespec times[2] = {};
  times[0].tv_nsec = UTIME_OMIT;  // when it was accessed stays
  times[1].tv_sec = static_cast<std::time_t>(whole.count());
  times[1].tv_nsec = static_cast<long>(nanoseconds(when.time_since_epoch() - whole).count());
  in_pool_or_throw("set_modified()", "set the time of", path,
                   [&](const char* at) { return ::utimensat(AT_FDCWD, at, times, 0); });
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

void make_symlink(const std::string& target, const std::string& path) {
  if (target.find('\0') != std::string::npos) throw_file_error(-EINVAL, "link to", target);
  in_pool_or_throw("make_symlink()", "make symbolic link", path,
                   [&](const char* at) { return ::symlink(target.c_str(), at); });
}

std::string read_link(const std::string& path) {
  begin_path_call("read_link()", "read symbolic link", path);
  std::string target(PATH_MAX, '\0');  // no link is longer
  const ssize_t length = in_file_pool("read symbolic link", [&] {
    return calls::read_link(path.c_str(), &target[0], target.size());
  });
  if (length < 0) throw_file_error(static_cast<int>(length), "read symbolic link", path);
  target.resize(static_cast<std::size_t>(length));
  return target;
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
  control& self = begin_path_call("list_directory()", "list", path);
  const stop_request stop(self);
  std::vector<std::string> names;
  const int error = in_file_pool("list", [&] { return list(path, stop, names); });
  if (error != 0) throw_file_error(error, "list", path);
  if (stop) throw_cancelled();
  return names;
}

file make_temp_file(const std::string& directory) {
  constexpr const char* verb = "make a temporary file in";
  begin_path_call("make_temp_file()", verb, directory);
  const std::string prefix = temporary_prefix(directory);
  std::string path;
  const int fd = in_file_pool(
      "open", [&] { return make_unique_file(prefix, O_RDWR | O_NONBLOCK, 0600, path); });
  if (fd < 0) throw_file_error(fd, verb, directory_of(prefix));
  return adopt_file(unique_fd(fd), path, open_mode::read | open_mode::write, 0);
}

std::string make_temp_directory(const std::string& in) {
  constexpr const char* verb = "make a temporary directory in";
  begin_path_call("make_temp_directory()", verb, in);
  const std::string prefix = temporary_prefix(in);
  std::string path;
  const int error =
      in_file_pool("make directory", [&] { return make_unique_directory(prefix, path); });
  if (error != 0) throw_file_error(error, verb, directory_of(prefix));
  return path;
}

}  // namespace weft
