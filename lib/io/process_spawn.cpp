// See process_spawn.hpp.
#include "io/process_spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <weft/error.hpp>

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace weft::detail {
namespace {

constexpr int busy_tries = 8;  // 1 + 2 + ... + 128 ms

[[noreturn]] void refuse(const std::string& program, const std::string& why) {
  throw io_error(std::make_error_code(std::errc::invalid_argument),
                 "cannot start " + program + ": " + why);
}

bool has_nul(const std::string& text) noexcept { return text.find('\0') != std::string::npos; }

bool only_for_errors(const stdio& what) noexcept { return what.what() == stdio::kind::same_as_out; }

}  // namespace

spawning::spawning(const std::vector<std::string>& argv, const process_options& how,
                   const stdio& in)
    : how_(how), streams_{&in, &how.out, &how.err} {
  check(argv);
  for (const std::string& each : argv) argv_.push_back(const_cast<char*>(each.c_str()));
  argv_.push_back(nullptr);
  if (!how.inherit_env || !how.env.empty()) make_environment();
}

void spawning::check(const std::vector<std::string>& argv) const {
  if (argv.empty()) refuse("a program", "no arguments, not even its name");
  const std::string program = argv[0].substr(0, argv[0].find('\0'));
  if (std::any_of(argv.begin(), argv.end(), has_nul)) refuse(program, "a NUL in an argument");
  if (has_nul(how_.cwd)) refuse(program, "a NUL in the working directory");
  for (const stdio* each : streams_)
    if (has_nul(each->path())) refuse(program, "a NUL in the path of a standard stream");
  for (const auto& [name, value] : how_.env) {
    if (name.empty() || name.find('=') != std::string::npos)
      refuse(program, "\"" + name + "\" cannot be the name of a variable");
    if (has_nul(name) || (value && has_nul(*value))) refuse(program, "a NUL in a variable");
  }
  if (only_for_errors(*streams_[0]) || only_for_errors(*streams_[1]))
    refuse(program, "only standard error can lead where standard output does");
  if (streams_[0]->what() == stdio::kind::append) refuse(program, "input from the end of a file");
}

void spawning::make_environment() {
  if (how_.inherit_env) {
    for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
      const std::string_view entry = *at;
      const std::string_view name = entry.substr(0, entry.find('='));
      if (how_.env.find(std::string(name)) == how_.env.end()) variables_.emplace_back(entry);
    }
  }
  for (const auto& [name, value] : how_.env)
    if (value) variables_.push_back(name + "=" + *value);
  for (std::string& each : variables_) environment_.push_back(each.data());
  environment_.push_back(nullptr);
}

void spawning::fail(int code) const {
  throw io_error(std::error_code(-code, std::generic_category()),
                 "cannot start " + std::string(argv_[0]) + step_);
}

// See (1).
int spawning::raise(unique_fd& fd) const noexcept {
  if (fd.get() >= first_free()) return 0;
  const int higher = fcntl(fd.get(), F_DUPFD_CLOEXEC, first_free());
  if (higher < 0) return -errno;
  fd = unique_fd(higher);
  return 0;
}

int spawning::open_pipe(int stream) {
  step_ = ": make a pipe";
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
  unique_fd read_end(ends[0]);
  unique_fd write_end(ends[1]);
  ours_[stream] = std::move(stream == 0 ? write_end : read_end);
  theirs_[stream] = std::move(stream == 0 ? read_end : write_end);
  // Only ours: each end has flags of its own, and programs do not expect theirs not to block.
  if (fcntl(ours_[stream].get(), F_SETFL, O_NONBLOCK) != 0) return -errno;
  if (const int error = raise(ours_[stream])) return error;
  return raise(theirs_[stream]);
}

int spawning::open_file(int stream, const stdio& where) {
  step_ = ": open " + where.path();
  int flags = O_RDONLY;
  if (stream != 0)
    flags = O_WRONLY | O_CREAT | (where.what() == stdio::kind::append ? O_APPEND : O_TRUNC);
  // So that no pipe without another end keeps this thread; the process gets it without the flag.
  unique_fd& fd = theirs_[stream];
  fd = unique_fd(calls::open(where.path().c_str(), flags | O_NOCTTY | O_NONBLOCK, 0666));
  if (fd.get() < 0) return fd.get();
  if (fcntl(fd.get(), F_SETFL, flags & O_APPEND) != 0) return -errno;
  return raise(fd);
}

int spawning::open_stream(int stream, const stdio& where) {
  switch (where.what()) {
    case stdio::kind::pipe:
      return open_pipe(stream);
    case stdio::kind::file:
    case stdio::kind::append:
      return open_file(stream, where);
    case stdio::kind::descriptor:
      step_ = ": use descriptor " + std::to_string(where.fd());
      theirs_[stream] = unique_fd(fcntl(where.fd(), F_DUPFD_CLOEXEC, first_free()));
      return theirs_[stream].get() < 0 ? -errno : 0;
    default:
      return 0;
  }
}

pid_t spawning::start() {
  for (int stream = 0; stream < 3; ++stream)
    if (const int error = open_stream(stream, *streams_[stream])) return error;
  for (const int each : how_.descriptors) {
    step_ = ": use descriptor " + std::to_string(each);
    more_.emplace_back(fcntl(each, F_DUPFD_CLOEXEC, first_free()));
    if (more_.back().get() < 0) return -errno;
  }
  step_.clear();
  posix_spawn_file_actions_t actions;
  if (const int error = posix_spawn_file_actions_init(&actions)) return -error;
  int result = fill(actions);
  if (result == 0) result = spawn(actions);
  posix_spawn_file_actions_destroy(&actions);
  // The error does not say which of both it was.
  if (result < 0 && !how_.cwd.empty() && faccessat(AT_FDCWD, how_.cwd.c_str(), X_OK, AT_EACCESS))
    step_ = ": enter the directory " + how_.cwd;
  return result;
}

int spawning::fill(posix_spawn_file_actions_t& actions) const noexcept {
  int error = 0;
  auto put = [&](int from, int to) {
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, from, to);
  };
  for (int stream = 0; stream < 3; ++stream)
    if (theirs_[stream].get() >= 0) put(theirs_[stream].get(), stream);
  if (only_for_errors(*streams_[2])) put(1, 2);
  int next = 3;
  for (const unique_fd& each : more_) put(each.get(), next++);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // All of ours are close-on-exec, but those of others may be not.
  if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, next);
#endif
  if (error == 0 && !how_.cwd.empty())
    error = posix_spawn_file_actions_addchdir_np(&actions, how_.cwd.c_str());
  return -error;
}

pid_t spawning::spawn(const posix_spawn_file_actions_t& actions) noexcept {
  posix_spawnattr_t how;
  if (const int error = posix_spawnattr_init(&how)) return -error;
  sigset_t none;
  sigset_t pipe_alone;  // weft ignores it; what the program ignores stays ignored, as in nohup
  sigemptyset(&none);
  sigemptyset(&pipe_alone);
  sigaddset(&pipe_alone, SIGPIPE);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &pipe_alone);
  posix_spawnattr_setpgroup(&how, 0);
  posix_spawnattr_setflags(&how, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    (how_.new_group ? POSIX_SPAWN_SETPGROUP : 0)));
  char** const variables = environment_.empty() ? environ : environment_.data();
  pid_t pid = -1;
  int error = 0;
  for (int tries = 0;; ++tries) {
    error = posix_spawnp(&pid, argv_[0], &actions, &how, argv_.data(), variables);
    // A program that was written just now: another thread may have started a process meanwhile,
    // which has it open for writing until its exec.
    if (error != ETXTBSY || tries == busy_tries) break;
    const timespec pause{0, 1'000'000L << tries};
    nanosleep(&pause, nullptr);
  }
  posix_spawnattr_destroy(&how);
  return error == 0 ? pid : -error;
}

}  // namespace weft::detail
