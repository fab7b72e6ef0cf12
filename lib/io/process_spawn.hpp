// Starting a program: everything that it is to have is opened and checked here, so that a failure
// has a name, and then posix_spawn() starts it.
// Made by a fiber; start() runs on a thread of the pool, since paths may lead to slow disks, and
// posix_spawn() returns only when the program has been loaded.
//
// (1) What the process is to have as 0, 1, 2, 3 ... has numbers above all of these here, so no
//     dup2() in the process overwrites the source of a later one; also where this program has
//     closed its own standard streams.
// (2) Nothing throws after the process has been started.
// Rejected: fork() and exec. fork() copies the page tables, a millisecond for each 100 MB, and what
// runs between both must not allocate.
#pragma once
#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>
#include <weft/process.hpp>

#include "io/file_calls.hpp"

namespace weft::detail {

class spawning {
 public:
  // Throws: io_error, std::errc::invalid_argument.
  spawning(const std::vector<std::string>& argv, const process_options& how, const stdio& in);

  // Returns the number of the process, or -errno.
  pid_t start();

  [[noreturn]] void fail(int code) const;

  // The program's end of a pipe; -1 if the stream is none.
  unique_fd& ours(int stream) noexcept { return ours_[stream]; }

 private:
  void check(const std::vector<std::string>& argv) const;
  void make_environment();
  int open_stream(int stream, const stdio& where);
  int open_pipe(int stream);
  int open_file(int stream, const stdio& where);
  int raise(unique_fd& fd) const noexcept;
  int fill(posix_spawn_file_actions_t& actions) const noexcept;
  pid_t spawn(const posix_spawn_file_actions_t& actions) noexcept;

  int first_free() const noexcept { return 3 + static_cast<int>(how_.descriptors.size()); }

  const process_options& how_;
  const stdio* const streams_[3];
  std::vector<char*> argv_;
  std::vector<std::string> variables_;
  std::vector<char*> environment_;  // empty: the program's own
  unique_fd ours_[3] = {unique_fd(-1), unique_fd(-1), unique_fd(-1)};
  unique_fd theirs_[3] = {unique_fd(-1), unique_fd(-1), unique_fd(-1)};
  std::vector<unique_fd> more_;
  std::string step_;  // which one failed
};

}  // namespace weft::detail
