// See weft/watch.hpp and file_watch.hpp.
#include "io/file_watch.hpp"

#include <cerrno>

#include "io/file_name.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace detail {
namespace {

constexpr std::chrono::milliseconds usual_poll{100};

change_source& referred(const source_owner& of) {
  if (of == nullptr) throw_file_error(-EBADF, "watch", "(no path: default-made or moved from)");
  return *of;
}

}  // namespace

change_source::change_source(const std::string& watched)
    : path(watched),
      below_(watched.back() == '/' ? watched : watched + '/'),
      beside_(directory_of(watched)),
      own_name_(watched.substr(beside_.size())) {}

void change_source_closer::operator()(change_source* source) const noexcept {
  source->close();
  delete source;
}

}  // namespace detail

path_watcher watch(const std::string& path, const watch_options& options) {
  detail::begin_path_call("watch()", "watch", path);
  if (path.empty()) detail::throw_file_error(-ENOENT, "watch", path);
  path_watcher made;
  if (options.poll.count() <= 0) made.source_ = detail::watch_by_inotify(path);
  if (made.source_ == nullptr) {
    const auto interval = options.poll.count() > 0 ? options.poll : detail::usual_poll;
    made.source_ = detail::watch_by_polling(path, interval);
  }
  return made;
}

file_event path_watcher::next() {
  if (std::optional<file_event> found = next_if_open()) return std::move(*found);
  detail::throw_file_error(-EBADF, "watch", source_->path);
}

std::optional<file_event> path_watcher::next_if_open() {
  detail::begin_io("path_watcher::next()");
  return detail::referred(source_).next();
}

void path_watcher::close() noexcept {
  if (source_ != nullptr) source_->close();
}

const std::string& path_watcher::path() const { return detail::referred(source_).path; }

}  // namespace weft
