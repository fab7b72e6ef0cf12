// Changes as inotify tells them.
//
// (1) A directory is one mark. A file is two: one on the directory it is in, for what happens to
//     its name, and one on the file itself, for what is written to it by whatever name. When
//     another file gets the name, that one is marked before the change is told: so a reader who
//     then looks has seen, or will be told, everything.
// (2) Events are taken from the kernel when the ones before have been told. They stay here, or
//     there, while nobody asks; a call that is cancelled has taken none out.
// (3) A rename comes in two halves, one after the other but not at the same time. The first waits
//     in front of the queue for the second, for a few milliseconds and for one more look at what
//     the kernel has; alone it is a removal.
// (4) One call at a time is inside (file_use.hpp); all that is below `inside` is touched only
//     there. Marking looks a path up, so it is done in the pool.
// (5) Closing an inotify descriptor takes 10 to 20 ms: the kernel waits for all who may be telling
//     it something. So readiness is awaited on a duplicate, and the pool closes the last one.
#include "io/file_watch.hpp"

#ifdef __linux__

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <utility>

#include "io/file_pool.hpp"
#include "io/file_state.hpp"
#include "io/file_use.hpp"

namespace weft::detail {
namespace {

constexpr nanos longest_half = 10'000'000;  // between the halves of a rename
constexpr std::uint32_t name_changes = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t end_of_directory = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;

struct change : file_event {
  change(file_change what, std::string where, std::uint32_t half = 0)
      : file_event{what, std::move(where), {}}, cookie(half) {
    if (half != 0) until = saturating_add(steady_now(), longest_half);
  }
  std::uint32_t cookie;  // not 0: the first half of a rename
  nanos until = 0;       // when it is given up
};

__attribute__((noinline)) int open_inotify() noexcept {
  const int made = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  return made < 0 ? -errno : made;
}

__attribute__((noinline)) int mark(int fd, const char* path, std::uint32_t mask) noexcept {
  const int made = ::inotify_add_watch(fd, path, mask);
  return made < 0 ? -errno : made;
}

class inotify_source final : public change_source {
 public:
  // Takes over both, which are duplicates.
  inotify_source(const std::string& watched, int fd, int awaited)
      : change_source(watched), fd_(fd), watch_(watch::make(awaited)) {}
  ~inotify_source() override { watch_->release(); }

  int begin();
  std::optional<file_event> next() override;
  void close() noexcept override;

 private:
  std::optional<file_event> next_inside();
  void mark_file();
  bool take();
  void note(const inotify_event& event);
  void note_name(const inotify_event& event, const std::string& name);
  bool join_halves(const inotify_event& event, std::string path);
  void add(change fresh);

  const int fd_;
  watch* const watch_;
  sole_use sole_;

  // inside
  bool of_file_ = false;
  int folder_mark_ = -1;
  int file_mark_ = -1;
  bool replaced_ = false;  // what is at the path of a file is to be marked
  bool gone_ = false;      // that a file is removed was told
  bool ended_ = false;     // the directory is gone
  std::deque<change> changes_;
};

// In the pool. 0 or an error.
int inotify_source::begin() {
  folder_mark_ = mark(fd_, path.c_str(), name_changes | IN_MODIFY);
  if (folder_mark_ != -ENOTDIR) return folder_mark_ < 0 ? folder_mark_ : 0;
  of_file_ = true;
  folder_mark_ = mark(fd_, folder().c_str(), name_changes);
  if (folder_mark_ < 0) return folder_mark_;
  file_mark_ = mark(fd_, path.c_str(), IN_MODIFY);
  return file_mark_ < 0 ? file_mark_ : 0;
}

std::optional<file_event> inotify_source::next() {
  const int error = sole_.enter();
  if (error == -EBADF) return std::nullopt;
  if (error != 0) throw_file_error(error, "watch", path);
  struct leaver {
    inotify_source& from;
    ~leaver() {
      if (from.sole_.leave()) close_file(from.fd_, true);
    }
  } inside{*this};
  return next_inside();
}

void inotify_source::close() noexcept {
  watch_->close();
  if (sole_.close()) close_file(fd_, true);
}

std::optional<file_event> inotify_source::next_inside() {
  for (;;) {
    if (replaced_) mark_file();
    nanos until = never;
    if (!changes_.empty()) {
      change& first = changes_.front();
      if (first.cookie != 0 && steady_now() >= first.until) {
        take();  // who asks late may find the other half there
        first.cookie = 0;
      }
      if (first.cookie != 0) {
        until = first.until;
      } else {
        std::optional<file_event> told = std::move(first);
        changes_.pop_front();
        return told;
      }
    } else if (ended_) {
      throw_file_error(-ENOENT, "watch", path);
    }
    if (watch_->closed()) return std::nullopt;
    if (take()) continue;
    switch (watch_->wait(direction::read, "watch", until)) {
      case ready_state::closed:
        return std::nullopt;
      case ready_state::failed:
        throw_file_error(-watch_->error(direction::read), "watch", path);
      default:
        break;
    }
  }
}

void inotify_source::mark_file() {
  const int before = file_mark_;
  const int fresh = in_file_pool("watch", [&] {
    const int made = mark(fd_, path.c_str(), IN_MODIFY);
    if (before >= 0 && made != before) ::inotify_rm_watch(fd_, before);
    return made;
  });
  replaced_ = false;
  file_mark_ = fresh < 0 ? -1 : fresh;
  // If it is gone again, that is told too.
  if (fresh < 0 && fresh != -ENOENT && fresh != -ENOTDIR) throw_file_error(fresh, "watch", path);
}

// Takes what the kernel has, as far as it fits. False if that is nothing.
bool inotify_source::take() {
  alignas(inotify_event) char buffer[4096];
  const ssize_t got = calls::read(fd_, buffer, sizeof buffer);
  if (got == -EAGAIN) return false;
  if (got < 0) throw_file_error(static_cast<int>(got), "watch", path);
  for (ssize_t at = 0; at < got;) {
    const auto& event = *reinterpret_cast<const inotify_event*>(buffer + at);
    note(event);
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  return true;
}

void inotify_source::note(const inotify_event& event) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    add(change(file_change::overflowed, path));
    replaced_ = of_file_;
  } else if (event.wd == folder_mark_ && (event.mask & end_of_directory) != 0) {
    if (!ended_ && !gone_) add(change(file_change::removed, path));
    ended_ = true;
  } else if (event.wd == folder_mark_) {
    if (event.len > 0 && !ended_) note_name(event, event.name);
  } else if (event.wd == file_mark_ && event.len == 0 && (event.mask & IN_MODIFY) != 0) {
    if (!replaced_) add(change(file_change::modified, path));
  }
}

void inotify_source::note_name(const inotify_event& event, const std::string& name) {
  const std::string where = of_file_ ? beside(name) : below(name);
  if ((event.mask & IN_MOVED_TO) != 0 && join_halves(event, where)) return;
  if (of_file_ && name != own_name()) return;
  file_change what = file_change::modified;
  if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) what = file_change::created;
  if ((event.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) what = file_change::removed;
  // From now on the mark on a file is of another one than that at the path.
  if (of_file_) replaced_ = true;
  if (of_file_) gone_ = what == file_change::removed;
  add(change(what, where, (event.mask & IN_MOVED_FROM) != 0 ? event.cookie : 0));
}

// The second half of a rename whose first one is here.
bool inotify_source::join_halves(const inotify_event& event, std::string to) {
  for (change& each : changes_) {
    if (each.cookie != event.cookie || event.cookie == 0) continue;
    each.kind = file_change::renamed;
    each.old_path = std::exchange(each.path, std::move(to));
    each.cookie = 0;
    return true;
  }
  return false;
}

void inotify_source::add(change fresh) {
  if (!changes_.empty()) {
    const change& last = changes_.back();
    const bool repeats =
        fresh.kind == file_change::modified || fresh.kind == file_change::overflowed;
    if (repeats && last.kind == fresh.kind && last.path == fresh.path) return;
  }
  changes_.push_back(std::move(fresh));
}

}  // namespace

source_owner watch_by_inotify(const std::string& path) {
  unique_fd fd(open_inotify());
  if (fd.get() < 0) throw_file_error(fd.get(), "watch", path);
  unique_fd awaited(calls::duplicate(fd.get()));
  if (awaited.get() < 0) throw_file_error(awaited.get(), "watch", path);
  auto* made = new inotify_source(path, fd.get(), awaited.get());
  fd.release();
  awaited.release();
  source_owner owner(made);
  const int error = in_file_pool("watch", [made] { return made->begin(); });
  if (error != 0) throw_file_error(error, "watch", path);
  return owner;
}

}  // namespace weft::detail

#else

namespace weft::detail {

source_owner watch_by_inotify(const std::string&) { return nullptr; }

}  // namespace weft::detail

#endif
