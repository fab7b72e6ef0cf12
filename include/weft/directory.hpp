// Directories, and files by their names: part of weft/file.hpp, which says what holds for all
// calls.
//
//   for (const weft::directory_entry& each : weft::open_directory("/var/log"))
//     std::cout << each.name << '\n';
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/detail/next_iterator.hpp>
#include <weft/error.hpp>

namespace weft {
namespace detail {

class directory_state;
class walk_state;
struct directory_closer {
  WEFT_API void operator()(directory_state* state) const noexcept;
  WEFT_API void operator()(walk_state* state) const noexcept;
};

}  // namespace detail

// ---- what is there

struct file_info {
  std::uint64_t size = 0;
  std::chrono::system_clock::time_point modified;
  std::chrono::system_clock::time_point accessed;
  bool is_regular = false;
  bool is_directory = false;
  bool is_symlink = false;   // told by link_info() only: stat() follows links
  unsigned mode = 0;         // the permission bits, such as 0644
  unsigned owner = 0;        // user id
  unsigned group = 0;        // group id
  std::uint64_t links = 0;   // how many names it has
  std::uint64_t device = 0;  // device and inode together tell one file from every other
  std::uint64_t inode = 0;
};

// Tells about what is at the path; link_info() about a symbolic link itself, if there is one.
WEFT_API file_info stat(const std::string& path);
WEFT_API file_info link_info(const std::string& path);

// Whether something is there; a symbolic link that leads nowhere is nothing.
WEFT_API bool exists(const std::string& path);

// Sets the permission bits, whatever the umask.
WEFT_API void set_permissions(const std::string& path, unsigned mode);

// Sets when it was modified last.
WEFT_API void set_modified(const std::string& path, std::chrono::system_clock::time_point when);

// ---- names

// Removes a file, an empty directory or a symbolic link. That nothing is there is an error.
WEFT_API void remove(const std::string& path);

// Removes it with all that is below it, and returns how many things that were; 0 if nothing is
// there. Symbolic links are removed, never followed, also if somebody puts them there meanwhile.
// Refuses ".", ".." and "/"; an empty path is an error.
// Cancellation: throws cancelled; what has been removed stays so. The same holds for errors.
WEFT_API std::uint64_t remove_all(const std::string& path);

// Gives a file or directory another name on the same file system, replacing a file of that name.
WEFT_API void rename(const std::string& from, const std::string& to);

// Makes a symbolic link at `path` that leads to `target`, which need not exist.
WEFT_API void make_symlink(const std::string& target, const std::string& path);

// Where a symbolic link leads, as it stands in it.
WEFT_API std::string read_link(const std::string& path);

// Makes a directory; that there is one is an error.
WEFT_API void make_directory(const std::string& path);

// Makes a directory and those on the way to it, as far as they are missing.
WEFT_API void make_directories(const std::string& path);

// Makes a directory of a new name in this one, by default $TMPDIR or /tmp, and returns its path.
// Only the user may access it. The caller removes it: weft::remove_all(made).
WEFT_API std::string make_temp_directory(const std::string& in = std::string());

// ---- lists

// The names in a directory, sorted, without "." and "..".
WEFT_API std::vector<std::string> list_directory(const std::string& path);

enum class entry_kind { regular, directory, symlink, other };

struct directory_entry {
  std::string name;
  std::string path;  // that of the directory, and the name
  entry_kind kind = entry_kind::other;
};

// The entries of a directory, in the order in which the system has them; movable. They are read
// some hundreds at a time, so that a million of them take little memory. What is made or removed
// meanwhile may be among them or not. Used by one fiber at a time: a second one gets an io_error,
// std::errc::device_or_resource_busy.
// Using one that was closed, moved from or default-made throws std::errc::bad_file_descriptor.
class WEFT_API directory {
 public:
  directory() noexcept = default;

  // The next entry, without "." and ".."; nothing at the end.
  // Cancellation: throws cancelled; no entry is lost.
  std::optional<directory_entry> next();

  // The same by range-for.
  using iterator = detail::next_iterator<directory, directory_entry, &directory::next>;
  iterator begin() { return iterator(*this); }
  iterator end() noexcept { return {}; }

  // Ends it; does nothing the second time. The destructor does the same.   Threads: any.
  void close() noexcept;

  // The path it was opened by.
  const std::string& path() const;

 private:
  friend WEFT_API directory open_directory(const std::string& path);
  std::unique_ptr<detail::directory_state, detail::directory_closer> state_;
};

// Opens a directory.
WEFT_API directory open_directory(const std::string& path);

struct walk_options {
  // Enter directories that symbolic links lead to as well, but none that one is in already.
  bool follow_links = false;

  // How far below the directory to go; 0 is what is in it.
  std::size_t max_depth = std::numeric_limits<std::size_t>::max();

  // What to do with a directory on the way that cannot be read, or is gone: leave it out, or throw
  // an io_error that names it; next() goes on after that.
  bool skip_unreadable = false;
};

struct walk_entry : directory_entry {  // the path begins with that of the walk
  std::size_t depth = 0;
};

// What is below a directory: each directory before what is in it. Otherwise as `directory`. Keeps
// one descriptor for each level of depth at which it stands.
class WEFT_API directory_walk {
 public:
  directory_walk() noexcept = default;

  // The next entry; nothing at the end. With follow_links links have the kind of what they lead to.
  // Cancellation: throws cancelled; no entry is lost.
  std::optional<walk_entry> next();

  // Leaves out what is in the directory that next() returned last.
  void skip_children();

  // The same by range-for.
  using iterator = detail::next_iterator<directory_walk, walk_entry, &directory_walk::next>;
  iterator begin() { return iterator(*this); }
  iterator end() noexcept { return {}; }

  // Ends it; does nothing the second time. The destructor does the same.   Threads: any.
  void close() noexcept;

 private:
  friend WEFT_API directory_walk walk(const std::string& path, const walk_options& options);
  std::unique_ptr<detail::walk_state, detail::directory_closer> state_;
};

// Begins a walk through all that is below a directory.
WEFT_API directory_walk walk(const std::string& path, const walk_options& options = {});

}  // namespace weft
