// Lets a fiber wait for SIGINT or SIGTERM.
#pragma once
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <weft/weft.hpp>

// Make it in main(), before the first thread: every thread inherits which signals are held back.
class stop_signal {
 public:
  stop_signal() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGINT);
    ::sigaddset(&set, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  }
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;
  ~stop_signal() { ::close(fd_); }

  // Parks until one of them has come.
  void wait() const { weft::wait_readable(fd_); }

 private:
  int fd_;
};
