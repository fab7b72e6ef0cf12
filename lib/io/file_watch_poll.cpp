// Changes found by comparing, again and again, what is there with what was.
//
// (1) What was is only replaced together with queueing the differences, so a cancelled look loses
//     none.
// (2) What goes and what comes in one look, as the same file, was renamed.
// (3) One call at a time is inside (file_use.hpp); what is below `sole_` is touched only there.
// Rejected: uv_fs_event, a handle of one worker's loop that would have to move with the fiber, and
// that tells of a rename just that there was one.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <weft/event.hpp>
#include <weft/file.hpp>

#include "io/file_list.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"
#include "io/file_use.hpp"
#include "io/file_watch.hpp"

namespace weft::detail {
namespace {

using stamps = std::map<std::string, file_info>;  // by name

bool is_same_file(const file_info& a, const file_info& b) noexcept {
  return a.device == b.device && a.inode == b.inode;
}

bool is_modified(const file_info& before, const file_info& now) noexcept {
  if (now.is_directory) return false;  // by what is in it, which is not watched
  return before.size != now.size || before.modified != now.modified;
}

constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);

class polling_source final : public change_source {
 public:
  polling_source(const std::string& watched, std::chrono::milliseconds interval)
      : change_source(watched), interval_(std::min(interval, longest)) {}

  int begin();
  std::optional<file_event> next() override;
  void close() noexcept override {
    sole_.close();
    closed_.set();
  }

 private:
  std::optional<file_event> next_inside();
  int look(stamps& found) const;
  void compare(const stamps& now);
  std::string path_of(const std::string& name) const { return of_file_ ? path : below(name); }

  const std::chrono::milliseconds interval_;
  event closed_;
  sole_use sole_;

  std::chrono::steady_clock::time_point next_look_;  // also of the next call: it may be short
  bool of_file_ = false;
  bool ended_ = false;
  stamps known_;
  std::deque<file_event> changes_;
};

// In the pool, as look() is.
int polling_source::begin() {
  struct ::stat about;
  if (::stat(path.c_str(), &about) != 0) return -errno;
  of_file_ = !S_ISDIR(about.st_mode);
  next_look_ = std::chrono::steady_clock::now() + interval_;
  return look(known_);
}

int polling_source::look(stamps& found) const {
  struct ::stat about;
  if (of_file_) {
    if (::stat(path.c_str(), &about) == 0)
      found.emplace(own_name(), info_of(about));
    else if (errno != ENOENT && errno != ENOTDIR)
      return -errno;
    return 0;
  }
  name_list all;
  if (const int error = all.open(AT_FDCWD, path.c_str(), name_list::links::last)) return error;
  while (!all.at_end()) {
    if (const int error = all.read_batch()) return error;
    while (const char* name = all.next())
      if (::fstatat(all.fd(), name, &about, AT_SYMLINK_NOFOLLOW) == 0)
        found.emplace(name, info_of(about));
  }
  return 0;
}

std::optional<file_event> polling_source::next() {
  const int error = sole_.enter();
  if (error == -EBADF) return std::nullopt;
  if (error != 0) throw_file_error(error, "watch", path);
  struct leaver {
    sole_use& from;
    ~leaver() { from.leave(); }
  } inside{sole_};
  return next_inside();
}

std::optional<file_event> polling_source::next_inside() {
  for (;;) {
    if (!changes_.empty()) {
      std::optional<file_event> told = std::move(changes_.front());
      changes_.pop_front();
      return told;
    }
    if (ended_) throw_file_error(-ENOENT, "watch", path);
    if (closed_.wait_until(next_look_)) return std::nullopt;
    stamps now;
    const int error = in_file_pool("watch", [&] { return look(now); });
    next_look_ = std::chrono::steady_clock::now() + interval_;
    if (error == -ENOENT || error == -ENOTDIR) {
      ended_ = true;
      changes_.push_back({file_change::removed, path, {}});
    } else if (error != 0) {
      throw_file_error(error, "watch", path);
    } else {
      compare(now);
      known_ = std::move(now);
    }
  }
}

void polling_source::compare(const stamps& now) {
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, std::string> gone;  // by what they were
  for (const auto& [name, before] : known_) {
    const auto there = now.find(name);
    if (there == now.end() || !is_same_file(before, there->second))
      gone.emplace(std::pair(before.device, before.inode), name);
  }
  for (const auto& [name, is] : now) {
    const auto before = known_.find(name);
    if (before != known_.end() && is_same_file(before->second, is)) {
      if (is_modified(before->second, is))
        changes_.push_back({file_change::modified, path_of(name), {}});
      continue;
    }
    const auto was = gone.find({is.device, is.inode});
    if (was == gone.end()) {
      changes_.push_back({file_change::created, path_of(name), {}});
      continue;
    }
    changes_.push_back({file_change::renamed, path_of(name), path_of(was->second)});
    if (is_modified(known_.at(was->second), is))
      changes_.push_back({file_change::modified, path_of(name), {}});
    gone.erase(was);
  }
  for (const auto& [key, name] : gone)
    if (now.count(name) == 0) changes_.push_back({file_change::removed, path_of(name), {}});
}

}  // namespace

source_owner watch_by_polling(const std::string& path, std::chrono::milliseconds interval) {
  auto* made = new polling_source(path, interval);
  source_owner owner(made);
  const int error = in_file_pool("watch", [made] { return made->begin(); });
  if (error != 0) throw_file_error(error, "watch", path);
  return owner;
}

}  // namespace weft::detail
