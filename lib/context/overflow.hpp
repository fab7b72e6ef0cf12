// Stack overflow of a fiber: a message that names the fiber, instead of a bare SIGSEGV.
//
// (1) The handler runs on an alternate stack, since the overflowed one has no room: each worker has
//     one for its life (signal_stack).
// (2) Only a fault in one of our guard pages is ours. Every other fault goes to the handler that
//     was installed before, with the original siginfo.
// (3) It allocates nothing and takes no lock.
#pragma once
#include <signal.h>

#include <cstddef>
#include <memory>

namespace weft::detail {

// Writes what runs on the calling thread ("fiber 12 \"parser\"") for the message.
// Async-signal-safe.
using describe_running = std::size_t (*)(char* to, std::size_t room) noexcept;

// Installs the handler once for the process; with sanitizers that report overflows, does nothing.
void report_stack_overflows(describe_running describe) noexcept;

// The alternate signal stack of the thread that makes it; one the thread had already stays in use.
class signal_stack {
 public:
  signal_stack() noexcept;
  ~signal_stack();
  signal_stack(const signal_stack&) = delete;
  signal_stack& operator=(const signal_stack&) = delete;

 private:
  std::unique_ptr<char[]> room_;
};

}  // namespace weft::detail
