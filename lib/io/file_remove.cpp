// remove_all: a tree, from below, by names within open directories.
//
// (1) Every directory is opened relative to the one it was found in, and not through a symbolic
//     link. So whatever is swapped meanwhile, only what is in a directory of the tree is removed.
// (2) At most so many levels are open, the deepest ones. Who comes back to one that is not opens
// ".."
//     and goes on only if that is the directory it was; then the names are read from the beginning.
// (3) It runs in steps of so many removals, so that no thread of the pool is kept for long.
// Rejected: recursion, which needs a stack as deep as the tree, and a path for each name, which may
// be longer than the system takes.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include <weft/file.hpp>

#include "io/file_list.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace {

using namespace detail;

constexpr std::size_t most_open = 32;  // descriptors
constexpr unsigned step_names = 256;   // names looked at in one trip to the pool

class remover {
 public:
  explicit remover(std::string path) : path_(std::move(path)) {}

  // In the pool. Goes on; 0 or an error.
  int step(const stop_request& stop);
  bool over() const noexcept { return over_; }
  std::uint64_t count() const noexcept { return count_; }

  // What is being removed.
  std::string where() const;

 private:
  struct level {
    std::string name;
    dev_t device = 0;
    ino_t inode = 0;
    name_list list;  // perhaps not open, see (2)
  };

  int begin();
  int remove_one(int parent, const char* name, bool directory_first);
  int enter(int parent, const char* name);
  int go_on();
  int leave();
  int open_again(level& upper);
  int parent_of_last() const noexcept;

  const std::string path_;
  std::vector<level> levels_;
  std::string failed_;  // a name in the last level
  std::uint64_t count_ = 0;
  bool begun_ = false;
  bool over_ = false;
};

int remover::step(const stop_request& stop) {
  if (!begun_)
    if (const int error = begin()) return error;
  for (unsigned done = 0; done < step_names && !levels_.empty() && !stop; ++done)
    if (const int error = go_on()) return error;
  over_ = levels_.empty();
  return 0;
}

int remover::begin() {
  begun_ = true;
  return remove_one(AT_FDCWD, path_.c_str(), false);
}

// Removes what has no entries, and enters what may have some.
int remover::remove_one(int parent, const char* name, bool directory_first) {
  // Either may have taken the place of the other since somebody looked.
  int error = directory_first ? -EISDIR : calls::remove_at(parent, name, 0);
  if (error == -EISDIR || error == -EPERM) {
    const int entered = enter(parent, name);
    if (entered == 0) return 0;
    const bool is_none = entered == -ENOTDIR || entered == -ELOOP;
    if (!is_none || error == -EISDIR) error = entered;
    if (is_none && directory_first) error = calls::remove_at(parent, name, 0);
  }
  if (error == -ENOENT) return 0;  // somebody else has removed it
  if (error == 0)
    ++count_;
  else
    failed_ = name;
  return error;
}

int remover::enter(int parent, const char* name) {
  level fresh;
  fresh.name = name;
  if (const int error = fresh.list.open(parent, name, name_list::links::none)) return error;
  struct ::stat about;
  if (const int error = calls::status(fresh.list.fd(), about)) return error;
  fresh.device = about.st_dev;
  fresh.inode = about.st_ino;
  levels_.push_back(std::move(fresh));
  if (levels_.size() > most_open) levels_[levels_.size() - most_open - 1].list.close();
  return 0;
}

// The next name of the last level.
int remover::go_on() {
  level& here = levels_.back();
  if (const char* name = here.list.next())
    return remove_one(here.list.fd(), name, here.list.kind() == entry_kind::directory);
  return here.list.at_end() ? leave() : here.list.read_batch();
}

// The last level is empty, or should be.
int remover::leave() {
  if (levels_.size() > 1) {
    level& upper = levels_[levels_.size() - 2];
    if (!upper.list.is_open())
      if (const int error = open_again(upper)) return error;
  }
  const std::string name = std::move(levels_.back().name);
  levels_.pop_back();
  const int error = calls::remove_at(parent_of_last(), name.c_str(), AT_REMOVEDIR);
  if (error == -ENOENT) return 0;
  if (error == 0)
    ++count_;
  else
    failed_ = name;
  return error;
}

int remover::open_again(level& upper) {
  if (const int error = upper.list.open(levels_.back().list.fd(), "..", name_list::links::none))
    return error;
  struct ::stat about;
  const int error = calls::status(upper.list.fd(), about);
  if (error != 0) return error;
  return about.st_dev == upper.device && about.st_ino == upper.inode ? 0 : -ENOENT;
}

int remover::parent_of_last() const noexcept {
  return levels_.empty() ? AT_FDCWD : levels_.back().list.fd();
}

std::string remover::where() const {
  std::string all;
  for (const level& each : levels_) (all += each.name) += '/';
  if (!failed_.empty()) return all + failed_;
  if (!all.empty()) all.pop_back();
  return all.empty() ? path_ : all;
}

// Not what these mean: the directory one is in, the one above, or all there is.
int refuse(const std::string& path) {
  if (path.empty()) return -ENOENT;
  const std::size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return -EBUSY;
  const std::string name = path.substr(0, last + 1).substr(path.find_last_of('/', last) + 1);
  return name == "." || name == ".." ? -EINVAL : 0;
}

}  // namespace

std::uint64_t remove_all(const std::string& path) {
  control& self = begin_path_call("remove_all()", "remove", path);
  if (const int error = refuse(path)) throw_file_error(error, "remove", path);
  const stop_request stop(self);
  // Without slashes behind it, which would follow a symbolic link.
  remover job(path.substr(0, path.find_last_not_of('/') + 1));
  while (!job.over()) {
    deliver_cancellation(self);
    const int error = in_file_pool("remove", [&] { return job.step(stop); });
    if (error != 0) throw_file_error(error, "remove", job.where());
  }
  return job.count();
}

}  // namespace weft
