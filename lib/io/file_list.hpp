// Reads the entries of a directory, in batches.
// open() and read_batch() are for threads of the pool; next() is for the fiber, between them.
//
// (1) A batch ends after so many names, so that neither memory nor the time of one trip to the pool
//     depends on how large the directory is.
// (2) What was read before an error is handed out first.
#pragma once
#include <dirent.h>

#include <cstddef>
#include <memory>
#include <string>
#include <weft/directory.hpp>

#include "io/file_calls.hpp"

namespace weft::detail {

class name_list {
 public:
  static constexpr std::size_t batch_names = 512;

  enum class links { none, last, all };

  // Opens it, through a symbolic link unless there are to be none. With `all` the links in it have
  // the kind of what they lead to. 0 or an error.
  int open(int parent, const char* path, links followed);
  bool is_open() const noexcept { return directory_ != nullptr; }
  int fd() const noexcept { return ::dirfd(directory_.get()); }
  void close() noexcept { *this = name_list(); }

  // Takes in the next batch, once the last one was handed out. 0 or an error.
  int read_batch();

  // The next of the batch: its name, good until the next call of read_batch(), or null.
  const char* next() noexcept;
  entry_kind kind() const noexcept { return kind_; }  // of that one
  bool at_end() const noexcept { return at_end_ && at_ == names_.size(); }

 private:
  bool add(const dirent& entry);

  struct closer {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
  };
  std::unique_ptr<DIR, closer> directory_;
  std::string names_;  // of each entry: its kind, as one byte, its name, and NUL
  std::size_t at_ = 0;
  entry_kind kind_ = entry_kind::other;
  int error_ = 0;
  bool follow_ = false;  // links in it
  bool at_end_ = false;
};

}  // namespace weft::detail
