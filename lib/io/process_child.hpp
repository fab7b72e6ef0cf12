// A process that this one has started, until its end has been taken note of.
// Any fiber waits; any thread sends signals, and ends it.
//
// (1) The kernel keeps the number of a process that has ended until its parent has reaped it. That
//     happens here alone, under lock_, as does every kill(): so none hits another process. The
//     pidfd says so even where the program has reaped what is ours.
// (2) Only this process is ever asked for; nothing hangs on SIGCHLD, which belongs to the program.
// (3) The pidfd tells when it has ended; readers of it hold a reference to this object. Where the
//     kernel has none, or none is left, the end is looked for again and again.
// (4) A process group can be sent signals as long as its leader is not reaped. So who ends a group
//     reaps its leader last.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <weft/process.hpp>

#include "base/clock.hpp"
#include "io/file_calls.hpp"

namespace weft::detail {

class child {
 public:
  child(bool leads_group, nanos grace) noexcept : leads_group_(leads_group), grace_(grace) {}
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  void started(pid_t pid) noexcept;  // once, before anyone else has it
  pid_t pid() const noexcept { return pid_; }

  // Parks until it has ended.   Throws: cancelled, io_error.
  exit_status wait();

  // Returns 0, also if it has ended, or -errno.
  int send(int signal) noexcept;

  // Lets it end, by force, and waits for it. Any thread.
  void end() noexcept;

  // Whether it has ended; reaps it then.
  bool reap() noexcept;

  // For tests: as on a kernel without pidfds.
  static std::atomic<bool> without_pidfds;

 private:
  bool has_ended() noexcept;
  bool look(int flags) noexcept;
  void await_end();
  void block_until_end() noexcept;

  const bool leads_group_;
  const nanos grace_;
  pid_t pid_ = -1;
  unique_fd pidfd_{-1};
  std::mutex lock_;
  bool reaped_ = false;  // this and what follows: under the lock
  bool lost_ = false;    // somebody else has reaped it
  exit_status status_;
};

// Takes what goes on by itself, to reap it one day; reaps those that have ended by now.
void leave_alone(std::shared_ptr<child> detached);
void reap_detached() noexcept;

}  // namespace weft::detail
