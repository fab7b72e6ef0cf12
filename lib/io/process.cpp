// Processes and their streams; see process_spawn.hpp and process_child.hpp for what stands behind
// them.
#include <weft/process.hpp>

#include <cerrno>
#include <weft/error.hpp>
#include <weft/group.hpp>

#include "io/budget.hpp"
#include "io/file_pool.hpp"
#include "io/pipe.hpp"
#include "io/process_child.hpp"
#include "io/process_spawn.hpp"

namespace weft {

using detail::child;

namespace detail {

struct process_access {
  static process start(const std::vector<std::string>& argv, const process_options& how,
                       const stdio& in) {
    spawning order(argv, how, in);
    process made;
    auto state = std::make_shared<child>(how.new_group, how.grace.count());
    reap_detached();
    const int error = in_file_pool("spawn_process", [&] {
      const pid_t pid = order.start();
      if (pid < 0) return static_cast<int>(pid);
      state->started(pid);
      return 0;
    });
    if (error < 0) order.fail(error);
    made.child_ = std::move(state);  // from here on an exception ends the process
    made.in_ = end_of<pipe_writer>(order.ours(0), "the standard input of a process");
    made.out_ = end_of<pipe_reader>(order.ours(1), "the standard output of a process");
    made.err_ = end_of<pipe_reader>(order.ours(2), "the standard error of a process");
    return made;
  }

 private:
  template <class Stream>
  static Stream end_of(unique_fd& from, const char* name) {
    if (from.get() < 0) return Stream();
    return socket_access::make<Stream>(own_pipe_end(std::move(from), name));
  }
};

namespace {

[[noreturn]] void throw_no_process(const char* verb) {
  throw io_error(std::make_error_code(std::errc::no_child_process),
                 "cannot " + std::string(verb) + " a process that was moved from or never started");
}

void refuse_input(const std::vector<std::string>& argv, const char* why) {
  throw io_error(std::make_error_code(std::errc::invalid_argument),
                 "cannot start " + (argv.empty() ? "a program" : argv[0]) + ": " + why);
}

// Not to be read is no error.
void feed(pipe_writer& to, const std::string& input) {
  try {
    to.write(input.data(), input.size());
  } catch (const io_error& error) {
    if (error.code() != std::errc::broken_pipe) throw;
  }
  to.close();
}

std::string read_output(pipe_reader& from, std::size_t limit, const std::string& program) {
  try {
    return read_all(from, limit);
  } catch (const io_error& error) {
    if (error.code() != std::errc::message_size) throw;
    throw io_error(error.code(), program + " wrote more than " + std::to_string(limit) + " bytes");
  }
}

}  // namespace
}  // namespace detail

// ---- process

process::process() noexcept = default;
process::process(process&& other) noexcept = default;

process& process::operator=(process&& other) noexcept {
  if (this == &other) return *this;
  const process before(std::move(*this));  // ends when the new one is in place
  child_ = std::move(other.child_);
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  err_ = std::move(other.err_);
  return *this;
}

process::~process() {
  if (child_ != nullptr) child_->end();
}

exit_status process::wait() {
  detail::require_fiber("process::wait()");
  const std::shared_ptr<child> mine = child_;
  if (mine == nullptr) detail::throw_no_process("wait for");
  return mine->wait();
}

void process::kill(int signal) {
  if (child_ == nullptr) detail::throw_no_process("send a signal to");
  if (const int error = child_->send(signal))
    throw io_error(std::error_code(-error, std::generic_category()),
                   "cannot send signal " + std::to_string(signal) + " to process " +
                       std::to_string(child_->pid()));
}

void process::detach() {
  if (child_ == nullptr) return;
  detail::leave_alone(child_);
  child_ = nullptr;
  in_ = pipe_writer();
  out_ = pipe_reader();
  err_ = pipe_reader();
}

int process::pid() const noexcept { return child_ == nullptr ? -1 : child_->pid(); }

// ---- starting

process spawn_process(const std::vector<std::string>& argv, const process_options& how) {
  detail::begin_io("spawn_process()");
  if (!how.input.empty()) detail::refuse_input(argv, "input is for run_process()");
  return detail::process_access::start(argv, how, how.in);
}

process_result run_process(const std::vector<std::string>& argv, const process_options& how) {
  detail::begin_io("run_process()");
  const bool piped = how.in.what() == stdio::kind::pipe;
  if (!how.input.empty() && !piped)
    detail::refuse_input(argv, "input is given, but standard input leads elsewhere");
  process started =
      detail::process_access::start(argv, how, piped && how.input.empty() ? stdio::null() : how.in);
  process_result result;
  {
    group streams;
    if (started.stdin_stream())
      streams.go([&] { detail::feed(started.stdin_stream(), how.input); });
    auto collect = [&](pipe_reader& from, std::string& into) {
      if (!from) return;
      streams.go([&] { into = detail::read_output(from, how.output_limit, argv[0]); });
    };
    collect(started.stdout_stream(), result.out);
    collect(started.stderr_stream(), result.err);
    streams.wait();
  }
  result.status = started.wait();
  return result;
}

}  // namespace weft
