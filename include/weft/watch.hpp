// Changes of files and directories, as they happen: part of weft/file.hpp.
//
//   for (const weft::file_event& each : weft::watch("conf.d"))
//     if (each.kind == weft::file_change::modified) reload(each.path);
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <weft/detail/config.hpp>
#include <weft/detail/next_iterator.hpp>
#include <weft/error.hpp>

namespace weft {
namespace detail {

class change_source;
struct change_source_closer {
  WEFT_API void operator()(change_source* source) const noexcept;
};

}  // namespace detail

enum class file_change {
  created,     // a file or directory is there that was not, or another one in its place
  modified,    // what is in a file has changed, or its size
  removed,     // it is gone, perhaps to where is not watched
  renamed,     // it was old_path and is now path, where it replaces what was there
  overflowed,  // changes came faster than they were asked for, and some are not told: look anew
};

struct file_event {
  file_change kind = file_change::modified;
  std::string path;      // begins with the path that is watched, as it was given
  std::string old_path;  // of what was renamed
};

struct watch_options {
  // Not zero: compare what is there with what was so often, instead of being told by the kernel:
  // for network file systems, where others make the changes. What changes and changes back in
  // between is not seen, and what changed between two looks is told in no order. Systems other than
  // Linux are always asked, every 100 ms by default.
  std::chrono::milliseconds poll{0};
};

// Tells what changes at a path; movable. Used by one fiber at a time: a second one gets an
// io_error, std::errc::device_or_resource_busy. Using one that was closed, moved from or
// default-made throws std::errc::bad_file_descriptor.
class WEFT_API path_watcher {
  std::optional<file_event> next_if_open();  // next(), or nothing once it is closed

 public:
  path_watcher() noexcept = default;

  // Returns what has changed next, since watch() returned.
  // Parks: until something does.   Cancellation: throws cancelled; no event is lost.
  // Throws: io_error, std::errc::no_such_file_or_directory, when the directory itself was removed
  // or renamed, after that has been told: nothing more can be seen.
  file_event next();

  // The same by range-for, which ends when the watcher is closed.
  using iterator = detail::next_iterator<path_watcher, file_event, &path_watcher::next_if_open>;
  iterator begin() { return iterator(*this); }
  iterator end() noexcept { return {}; }

  // Ends it, and wakes who waits with an error. Closing again does nothing; the destructor closes
  // too.   Parks: for some milliseconds.   Cancellation: ignored.   Threads: any.
  void close() noexcept;

  // The path that is watched.
  const std::string& path() const;

 private:
  friend WEFT_API path_watcher watch(const std::string& path, const watch_options& options);
  std::unique_ptr<detail::change_source, detail::change_source_closer> source_;
};

// Watches a directory, for changes of its entries but not of those further below; or a file. A file
// may be removed, renamed or replaced, as editors and log rotation do: what is at its path then is
// watched on, and told as `created`. What a symbolic link leads to is looked up when the watch
// begins, and when the link is replaced. That nothing is there is an error.
WEFT_API path_watcher watch(const std::string& path, const watch_options& options = {});

}  // namespace weft
