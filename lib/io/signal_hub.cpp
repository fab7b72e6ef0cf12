// See signal_hub.hpp.
#include "io/signal_hub.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <weft/error.hpp>

#include "base/never_destroyed.hpp"
#include "base/this_thread.hpp"
#include "io/budget.hpp"
#include "reactor/poll_set.hpp"

namespace weft::detail {
namespace {

constexpr std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << (number - 1); }

// What the handler sees. Never destroyed: signals come until the end.
struct hearing {
  std::atomic<std::uint32_t> inside{0};
  std::atomic<signal_subscription*> first{nullptr};
  std::atomic<std::uint32_t> came[most_signals + 1] = {};
  // The program's own handler, in one of its two shapes.
  std::atomic<void (*)(int)> plain[most_signals + 1] = {};
  std::atomic<void (*)(int, siginfo_t*, void*)> with_info[most_signals + 1] = {};
};
hearing all;

struct books {
  std::mutex lock;
  unsigned users[most_signals + 1] = {};  // subscriptions, and one if it is remembered
  bool remembered[most_signals + 1] = {};
  std::uint32_t returned[most_signals + 1] = {};  // by wait_signal()
  struct sigaction before[most_signals + 1] = {};
};

books& ledger() noexcept {
  static never_destroyed<books> only;
  return only.get();
}

}  // namespace

struct signal_hub {
  static void on_signal(int number, siginfo_t* info, void* where) noexcept {
    // Not the same as before, if a handler of the program left by longjmp(): the frame is no
    // deeper.
    told_signal& told = this_threads_told_signal();
    const void* what = info != nullptr ? static_cast<const void*>(info) : &all;
    const void* frame = __builtin_frame_address(0);
    if (what == told.what && std::less<>()(frame, told.frame)) return;
    const told_signal outer = std::exchange(told, {what, frame});
    const int saved = errno;
    all.inside.fetch_add(1, std::memory_order_seq_cst);        // pairs with remove()
    all.came[number].fetch_add(1, std::memory_order_seq_cst);  // see (2)
    for (signal_subscription* at = all.first.load(std::memory_order_seq_cst); at != nullptr;
         at = at->next_.load(std::memory_order_seq_cst)) {
      constexpr std::uint64_t one = 1;
      if ((at->mask_ & bit(number)) != 0 && ::write(at->wake_up_.get(), &one, sizeof one) < 0) {
        // It is full, so whoever waits on it is awake.
      }
    }
    all.inside.fetch_sub(1, std::memory_order_seq_cst);
    if (const auto call = all.plain[number].load(std::memory_order_relaxed)) call(number);
    if (const auto call = all.with_info[number].load(std::memory_order_relaxed))
      call(number, info, where);
    told = outer;
    errno = saved;
  }

  static bool is_ours(const struct sigaction& what) noexcept {
    return (what.sa_flags & SA_SIGINFO) != 0 && what.sa_sigaction == on_signal;
  }

  // Returns an errno. What follows: under the lock.
  __attribute__((noinline)) static int start_hearing(int number) noexcept {
    books& in = ledger();
    if (in.users[number] > 0) {
      ++in.users[number];
      return 0;
    }
    struct sigaction& before = in.before[number];
    if (sigaction(number, nullptr, &before) != 0) return errno;
    const bool none = before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN;
    const bool informed = !none && (before.sa_flags & SA_SIGINFO) != 0;
    const bool called = !none && !informed;
    if (!is_ours(before)) {  // it is when the program has put us back
      all.with_info[number].store(informed ? before.sa_sigaction : nullptr,
                                  std::memory_order_relaxed);
      all.plain[number].store(called ? before.sa_handler : nullptr, std::memory_order_relaxed);
    }
    struct sigaction ours {};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&ours.sa_mask);
    if (sigaction(number, &ours, nullptr) != 0) return errno;
    in.users[number] = 1;
    return 0;
  }

  static void stop_hearing(int number) noexcept {
    books& in = ledger();
    if (--in.users[number] > 0) return;
    struct sigaction now {};
    if (sigaction(number, nullptr, &now) != 0 || !is_ours(now)) return;
    // The first runtime would have had it ignored, had it not found us there.
    if (number == SIGPIPE && in.before[number].sa_handler == SIG_DFL)
      in.before[number].sa_handler = SIG_IGN;
    sigaction(number, &in.before[number], nullptr);
  }

  static void remember(int number) noexcept {
    books& in = ledger();
    if (in.remembered[number]) return;
    in.remembered[number] = true;
    ++in.users[number];
    in.returned[number] = all.came[number].load(std::memory_order_seq_cst);
  }

  static void add(signal_subscription& fresh) noexcept {
    fresh.next_.store(all.first.load(std::memory_order_relaxed), std::memory_order_relaxed);
    all.first.store(&fresh, std::memory_order_seq_cst);  // see (2)
  }

  static void remove(signal_subscription& gone) noexcept {
    std::atomic<signal_subscription*>* link = &all.first;
    for (;;) {
      signal_subscription* at = link->load(std::memory_order_relaxed);
      if (at == nullptr) return;  // it never was in the list
      if (at == &gone) break;
      link = &at->next_;
    }
    link->store(gone.next_.load(std::memory_order_relaxed), std::memory_order_seq_cst);
    // Pairs with on_signal(): who comes in from now on does not find it.
    while (all.inside.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  }
};

namespace {

std::uint64_t mask_of(const int* signals, std::size_t count) {
  if (count == 0) throw std::invalid_argument("weft: no signal to wait for");
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int number = signals[i];
    bool refused = number < 1 || number > most_signals || number >= NSIG;
    for (const int fatal : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
      refused = refused || number == fatal;
    if (refused)
      throw std::invalid_argument("weft: signal " + std::to_string(number) +
                                  " cannot be waited for");
    mask |= bit(number);
  }
  return mask;
}

[[noreturn]] void fail(int code) {
  throw io_error(std::error_code(code, std::generic_category()), "cannot wait for signals");
}

__attribute__((noinline)) int open_wake_up() noexcept {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

}  // namespace

signal_subscription::signal_subscription(const int* signals, std::size_t count, memory kind)
    : signals_(signals, signals + count),
      kind_(kind),
      mask_(mask_of(signals, count)),
      wake_up_(open_wake_up()) {
  if (wake_up_.get() < 0) fail(-wake_up_.get());
  std::lock_guard<std::mutex> hold(ledger().lock);
  for (std::size_t i = 0; i < count; ++i) {
    const int number = signals[i];
    if (const int error = signal_hub::start_hearing(number)) {
      while (i > 0) signal_hub::stop_hearing(signals[--i]);
      throw std::invalid_argument(
          "weft: signal " + std::to_string(number) +
          " cannot be waited for: " + std::generic_category().message(error));
    }
  }
  for (const int number : signals_) {
    if (kind_ == memory::shared) signal_hub::remember(number);
    seen_[static_cast<unsigned>(number)] = all.came[number].load(std::memory_order_seq_cst);
  }
  signal_hub::add(*this);
}

signal_subscription::~signal_subscription() {
  std::lock_guard<std::mutex> hold(ledger().lock);
  signal_hub::remove(*this);
  for (const int number : signals_) signal_hub::stop_hearing(number);
}

int signal_subscription::take() noexcept {
  std::lock_guard<std::mutex> hold(ledger().lock);
  books& in = ledger();
  // Who begins to wait gets what no other has got; who waits already gets all that comes.
  if (fresh_ && kind_ == memory::shared)
    for (const int number : signals_) seen_[static_cast<unsigned>(number)] = in.returned[number];
  fresh_ = false;
  for (const int number : signals_) {
    const std::uint32_t now = all.came[number].load(std::memory_order_seq_cst);  // see (2)
    std::uint32_t& seen = seen_[static_cast<unsigned>(number)];
    if (now == seen) continue;
    seen = now;
    if (kind_ == memory::shared) in.returned[number] = now;
    return number;
  }
  return 0;
}

int signal_subscription::next(const char* operation) {
  begin_io(operation);
  if (in_use_.exchange(true, std::memory_order_acquire))
    throw io_error(std::make_error_code(std::errc::device_or_resource_busy),
                   "cannot wait for signals: another fiber does");
  struct leave {
    std::atomic<bool>& in_use;
    ~leave() { in_use.store(false, std::memory_order_release); }  // pairs with the exchange
  } at_the_end{in_use_};
  for (;;) {
    if (const int number = take()) return number;
    if (const int error = wait_for_fd(wake_up_.get(), direction::read, "wait_signal")) fail(error);
    std::uint64_t ignored = 0;
    calls::read(wake_up_.get(), &ignored, sizeof ignored);  // before the look, or one were lost
  }
}

void forget_signals() noexcept {
  std::lock_guard<std::mutex> hold(ledger().lock);
  books& in = ledger();
  for (int number = 1; number <= most_signals; ++number) {
    if (!in.remembered[number]) continue;
    in.remembered[number] = false;
    signal_hub::stop_hearing(number);
  }
}

}  // namespace weft::detail
