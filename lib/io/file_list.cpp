// See file_list.hpp.
#include "io/file_list.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weft::detail {
namespace {

entry_kind kind_of_mode(mode_t mode) noexcept {
  if (S_ISREG(mode)) return entry_kind::regular;
  if (S_ISDIR(mode)) return entry_kind::directory;
  return S_ISLNK(mode) ? entry_kind::symlink : entry_kind::other;
}

bool look_up(int directory, const char* name, int flags, entry_kind& kind) noexcept {
  struct ::stat about;
  if (::fstatat(directory, name, &about, flags) != 0) return false;
  kind = kind_of_mode(about.st_mode);
  return true;
}

// What the entry itself tells; false if it does not.
bool told_kind(const dirent& entry, entry_kind& kind) noexcept {
#ifdef DT_UNKNOWN
  switch (entry.d_type) {
    case DT_REG:
      kind = entry_kind::regular;
      return true;
    case DT_DIR:
      kind = entry_kind::directory;
      return true;
    case DT_LNK:
      kind = entry_kind::symlink;
      return true;
    case DT_UNKNOWN:
      return false;
    default:
      kind = entry_kind::other;
      return true;
  }
#else
  return false;
#endif
}

}  // namespace

int name_list::open(int parent, const char* path, links followed) {
  const int no_link = followed == links::none ? O_NOFOLLOW : 0;
  const int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | no_link;
  unique_fd fd(calls::open_at(parent, path, flags));
  if (fd.get() < 0) return fd.get();
  directory_.reset(::fdopendir(fd.get()));
  if (directory_ == nullptr) return -errno;
  fd.release();
  follow_ = followed == links::all;
  names_.clear();
  at_ = 0;
  error_ = 0;
  at_end_ = false;
  return 0;
}

int name_list::read_batch() {
  names_.clear();
  at_ = 0;
  for (std::size_t count = 0; error_ == 0 && !at_end_ && count < batch_names;) {
    errno = 0;
    const dirent* entry = ::readdir(directory_.get());
    if (entry != nullptr) {
      count += add(*entry);
    } else if (errno == 0) {
      at_end_ = true;
    } else if (errno != EINTR) {
      error_ = -errno;
    }
  }
  return names_.empty() ? std::exchange(error_, 0) : 0;
}

bool name_list::add(const dirent& entry) {
  const char* const name = entry.d_name;
  if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) return false;
  entry_kind kind = entry_kind::other;
  if (!told_kind(entry, kind)) look_up(fd(), name, AT_SYMLINK_NOFOLLOW, kind);
  if (follow_ && kind == entry_kind::symlink) look_up(fd(), name, 0, kind);
  names_ += static_cast<char>(kind);
  names_.append(name, std::strlen(name) + 1);
  return true;
}

const char* name_list::next() noexcept {
  if (at_ == names_.size()) return nullptr;
  kind_ = static_cast<entry_kind>(names_[at_]);
  const char* const name = &names_[at_ + 1];
  at_ += std::strlen(name) + 2;
  return name;
}

}  // namespace weft::detail
