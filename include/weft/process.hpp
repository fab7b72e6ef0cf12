// Other programs: started, fed, read from and waited for.
//
//   auto [status, out, err] = weft::run_process({"git", "log", "-1"});
//   if (status != 0) throw std::runtime_error(err);
//
//   weft::process sorter = weft::spawn_process({"sort"});
//   sorter.stdin_stream().write("b\na\n");
//   sorter.stdin_stream().close();
//   std::string sorted = weft::read_all(sorter.stdout_stream());
//   sorter.wait();
//
// A program is started with the default signal mask, SIGPIPE doing what it does by default, and no
// descriptors but its standard streams and those asked for. It belongs to the object that stands
// for it: when that goes, it is killed.
//
// A program that takes the ends of all its children for itself (a waitpid(-1), SIGCHLD ignored)
// takes away the status of these as well: wait() throws std::errc::no_child_process then.
#pragma once

#include <csignal>

#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/error.hpp>
#include <weft/pipe.hpp>

namespace weft {

// How a process ended. As a number, as shells have it: its exit code, or 128 and the signal that
// killed it; 0 is success.
class exit_status {
 public:
  exit_status() noexcept = default;
  static exit_status of_code(int code) noexcept { return exit_status(code, 0); }
  static exit_status of_signal(int number) noexcept { return exit_status(-1, number); }

  bool success() const noexcept { return code_ == 0; }
  bool exited() const noexcept { return signal_ == 0; }
  int code() const noexcept { return code_; }  // -1 if a signal killed it
  bool signalled() const noexcept { return signal_ != 0; }
  int signal() const noexcept { return signal_; }  // 0 if it exited

  operator int() const noexcept { return signalled() ? 128 + signal_ : code_; }  // NOLINT: meant

 private:
  exit_status(int code, int number) noexcept : code_(code), signal_(number) {}

  int code_ = 0;
  int signal_ = 0;
};

// Where a standard stream of a process leads.
class stdio {
 public:
  // To the program that starts it: by a stream of the process, by what run_process() is given and
  // returns.
  static stdio pipe() { return stdio(kind::pipe); }
  // Where the program's own stream leads.
  static stdio inherit() { return stdio(kind::inherit); }
  // To /dev/null.
  static stdio null() { return file("/dev/null"); }
  // To what a descriptor of the program is open for. It stays the program's, and may be closed as
  // soon as the process has been started.
  static stdio descriptor(int fd) { return stdio(kind::descriptor, fd); }
  // From or to a file; what is written to is made or emptied first. The path is the program's, not
  // one from process_options::cwd.
  static stdio file(std::string path) { return stdio(kind::file, -1, std::move(path)); }
  // To the end of a file, which is made if need be.
  static stdio append(std::string path) { return stdio(kind::append, -1, std::move(path)); }
  // Standard error only: where standard output leads.
  static stdio same_as_out() { return stdio(kind::same_as_out); }

  enum class kind { pipe, inherit, descriptor, file, append, same_as_out };
  kind what() const noexcept { return kind_; }
  int fd() const noexcept { return fd_; }
  const std::string& path() const noexcept { return path_; }

 private:
  explicit stdio(kind what, int fd = -1, std::string path = {})
      : kind_(what), fd_(fd), path_(std::move(path)) {}

  kind kind_;
  int fd_;
  std::string path_;
};

struct process_options {
  // The standard streams.
  stdio in = stdio::pipe();
  stdio out = stdio::pipe();
  stdio err = stdio::pipe();

  // What run_process() writes to the standard input, and then closes it.
  std::string input;

  // How much run_process() takes of each output. More is an io_error, std::errc::message_size, and
  // the process is killed.
  std::size_t output_limit = std::numeric_limits<std::size_t>::max();

  // The working directory; empty: the program's. A program named by a relative path is looked for
  // from there.
  std::string cwd;

  // Variables that are set (or removed: std::nullopt) in the environment the process gets: the
  // program's own, or an empty one.
  std::map<std::string, std::optional<std::string>> env;
  bool inherit_env = true;

  // Descriptors of the program's that the process gets too, as 3, 4 and so on.
  std::vector<int> descriptors;

  // Whether it leads a process group of its own. Then kill() and the end of its object concern all
  // that it has started and that has not left the group; but Ctrl-C at the terminal does not reach
  // it. Without it they concern the process alone. They end with the process itself: once it has
  // been waited for, nothing is sent to the rest, and grace ends when it does.
  bool new_group = false;

  // What is left when its object goes, or run_process() is cancelled, gets SIGTERM and so much time
  // to end before it is killed; 0: it is killed at once.
  std::chrono::nanoseconds grace{0};
};

namespace detail {
class child;
struct process_access;
}  // namespace detail

// A program that was started, and its end; movable. If it still runs when its object is destroyed,
// it is killed (process_options::grace) and waited for; in a fiber by parking, also while an
// exception unwinds it, otherwise by blocking. So no process and no zombie is left.
class WEFT_API process {
 public:
  process() noexcept;
  process(process&& other) noexcept;
  process& operator=(process&& other) noexcept;
  ~process();

  // The other ends of its standard streams, for those that are pipes; the others are never open.
  // To close the standard input tells it that no more will come. Who does not read the outputs lets
  // it wait as soon as the pipe is full.
  pipe_writer& stdin_stream() noexcept { return in_; }
  pipe_reader& stdout_stream() noexcept { return out_; }
  pipe_reader& stderr_stream() noexcept { return err_; }

  // Returns how it ended; the same again when asked again. The streams stay open.
  // Parks: until it has ended.   Cancellation: throws cancelled; the process goes on.
  // Threads: fibers, any number at once.
  // Throws: io_error, std::errc::no_child_process, if the status is lost, or if there is no process
  // here; std::logic_error outside a fiber.
  exit_status wait();

  // Sends it a signal; once it has ended that does nothing, never to another process that has got
  // its number.   Never parks.   Threads: any.
  // Throws: io_error, std::errc::no_child_process if there is no process here,
  // std::errc::invalid_argument if there is no such signal.
  void kill(int signal = SIGKILL);

  // Lets it go on by itself: this object stands for no process then, and its streams are closed.
  void detach();

  // Its number; -1 if there is no process here.
  int pid() const noexcept;

  // Whether there is a process here, be it that it has ended.
  explicit operator bool() const noexcept { return child_ != nullptr; }

 private:
  friend struct detail::process_access;

  std::shared_ptr<detail::child> child_;
  pipe_writer in_;
  pipe_reader out_;
  pipe_reader err_;
};

// Starts a program: argv[0] by its path, or by a name that is looked up in the PATH of this
// program. Returns when it runs.
// Parks: while a thread of libuv's pool starts it.
// Cancellation: throws cancelled if that has not begun.
// Throws: io_error naming the program, if it cannot be started:
// std::errc::no_such_file_or_directory, permission_denied, argument_list_too_long;
// std::errc::invalid_argument if argv is empty, if a NUL or a wrong name stands somewhere, or for
// options that contradict each other. std::logic_error outside a fiber.
WEFT_API process spawn_process(const std::vector<std::string>& argv,
                               const process_options& how = {});

struct process_result {
  exit_status status;
  std::string out;  // empty if it led elsewhere
  std::string err;
};

// Starts a program, gives it the input, and returns what it has written when it has ended and its
// outputs have been closed, also by those that it started. All three go on at once, so no amount is
// too much. That it does not read its input is no error, nor that it fails; but if what it started
// keeps the input open and does not read, that is waited for, too.
// Parks: until it has ended.
// Cancellation: kills it (process_options::grace), waits for its end, and throws cancelled.
// Throws: as spawn_process(); std::errc::message_size, see process_options::output_limit.
WEFT_API process_result run_process(const std::vector<std::string>& argv,
                                    const process_options& how = {});

}  // namespace weft
