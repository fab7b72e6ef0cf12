// See overflow.hpp.
#include "context/overflow.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "context/sanitizer.hpp"
#include "context/stack.hpp"

namespace weft::detail {
namespace {

// AT_MINSIGSTKSZ is 12 KiB with AVX-512 state; the handler itself needs little.
constexpr std::size_t least_signal_stack = 64 * 1024;

describe_running describe_fiber = nullptr;
struct sigaction segv_before;
struct sigaction bus_before;

// A line for stderr, put together without the C library's formatting.
class message {
 public:
  message& operator<<(const char* text) noexcept { return append(text, std::strlen(text)); }
  message& operator<<(std::size_t number) noexcept {
    char digits[24];
    char* at = digits + sizeof digits;
    do *--at = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    return append(at, static_cast<std::size_t>(digits + sizeof digits - at));
  }
  message& running() noexcept {
    used_ += describe_fiber(text_ + used_, sizeof text_ - used_);
    return *this;
  }
  void write() const noexcept {
    if (::write(STDERR_FILENO, text_, used_) < 0) return;  // nowhere left to say it
  }

 private:
  message& append(const char* text, std::size_t count) noexcept {
    count = std::min(count, sizeof text_ - used_);
    std::memcpy(text_ + used_, text, count);
    used_ += count;
    return *this;
  }

  char text_[512];
  std::size_t used_ = 0;
};

void pass_on(const struct sigaction& before, int number, siginfo_t* info, void* where) noexcept {
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(number, info, where);
  } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
    signal(number, SIG_DFL);  // the fault repeats on return, and ends the process as it should
  } else {
    before.sa_handler(number);
  }
}

void on_fault(int number, siginfo_t* info, void* where) noexcept {
  stack* owner = nullptr;
  if (is_stack_guard(info->si_addr, &owner)) {
    message text;
    const bool in_generator = owner->of_generator;
    text << "weft: stack overflow in " << (in_generator ? "a generator of " : "");
    text.running() << ": its stack has " << owner->usable() / 1024 << " KiB; raise "
                   << (in_generator ? "generator_options::stack_bytes"
                                    : "options::stack_bytes or fiber_options::stack_bytes")
                   << ", or move large objects off the stack\n";
    text.write();
    signal(number, SIG_DFL);
    return;
  }
  pass_on(number == SIGSEGV ? segv_before : bus_before, number, info, where);
}

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
constexpr bool checker_reports = true;
#else
constexpr bool checker_reports = false;
#endif

}  // namespace

void report_stack_overflows(describe_running describe) noexcept {
  if (checker_reports) return;
  static std::once_flag once;
  std::call_once(once, [describe] {
    describe_fiber = describe;
    struct sigaction ours {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGSEGV, &ours, &segv_before);
    sigaction(SIGBUS, &ours, &bus_before);
  });
}

signal_stack::signal_stack() noexcept {
  if (checker_reports) return;
  stack_t now{};
  if (sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
#ifdef _SC_MINSIGSTKSZ
  const long least = sysconf(_SC_MINSIGSTKSZ);
#else
  const long least = MINSIGSTKSZ;
#endif
  const std::size_t bytes =
      std::max(least_signal_stack, 2 * static_cast<std::size_t>(std::max(least, 0L)));
  room_.reset(new (std::nothrow) char[bytes]);
  if (room_ == nullptr) return;
  stack_t ours{};
  ours.ss_sp = room_.get();
  ours.ss_size = bytes;
  if (sigaltstack(&ours, nullptr) != 0) room_.reset();
}

signal_stack::~signal_stack() {
  if (room_ == nullptr) return;
  stack_t off{};
  off.ss_flags = SS_DISABLE;
  sigaltstack(&off, nullptr);
}

}  // namespace weft::detail
