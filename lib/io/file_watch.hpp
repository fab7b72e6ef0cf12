// What stands behind a path_watcher: where it learns of changes.
// next() is called by one fiber at a time, close() and the destructor by any thread.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <weft/watch.hpp>

namespace weft::detail {

class change_source {
 public:
  explicit change_source(const std::string& watched);
  change_source(const change_source&) = delete;
  change_source& operator=(const change_source&) = delete;
  virtual ~change_source() = default;

  // The next change, or nothing once it is closed. Running fiber only.
  virtual std::optional<file_event> next() = 0;
  virtual void close() noexcept = 0;

  const std::string path;

 protected:
  // Paths of what is in the directory, and of what is beside the file.
  std::string below(const std::string& name) const { return below_ + name; }
  std::string beside(const std::string& name) const { return beside_ + name; }
  const std::string& own_name() const noexcept { return own_name_; }
  std::string folder() const { return beside_.empty() ? "." : beside_; }

 private:
  const std::string below_;
  const std::string beside_;
  const std::string own_name_;
};

using source_owner = std::unique_ptr<change_source, change_source_closer>;

source_owner watch_by_inotify(const std::string& path);  // null where there is no such thing
source_owner watch_by_polling(const std::string& path, std::chrono::milliseconds interval);

}  // namespace weft::detail
