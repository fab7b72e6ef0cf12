// Starting and stopping: run() for programs that are fibers all through, runtime for programs that
// own main.
//
//   int main() {
//     return weft::run([] {
//       auto a = weft::go([] { weft::sleep(1s); return 1; });
//       return a.join();
//     });
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <weft/detail/task.hpp>
#include <weft/go.hpp>

namespace weft {

struct options {
  // OS threads that run fibers; 0: one per CPU this process may really use (affinity, cgroup
  // quota).
  unsigned workers = 0;

  // Address space of a fiber's stack, guard page included; rounded up to a power of two, 16 KiB at
  // least. Memory is used only as far as the stack is.
  std::size_t stack_bytes = 256 * 1024;

  // Most threads that blocking() uses at a time, started when needed; 0: 64.
  unsigned blocking_threads = 0;

  // Most names that are looked up at a time, each by a thread, started when needed; 0: 8.
  unsigned name_threads = 0;

  // Gets what a fiber threw when nobody can join it any more. Empty: prints the fiber's name and
  // the exception, and aborts. Called on any thread; must not throw.
  std::function<void(std::string_view fiber_name, std::exception_ptr what)> on_unhandled;

  // Gets what a child of a group threw after a sibling had failed (the sibling's exception is the
  // one that is rethrown), when nobody can join that child any more. Empty: prints one line to
  // stderr. Called on any thread; must not throw.
  std::function<void(std::string_view fiber_name, std::exception_ptr what)> on_also_failed;
};

// Counters for a dashboard; each is exact, all together are not one moment.
struct metrics {
  unsigned workers = 0;
  std::uint64_t fibers_spawned = 0;
  std::uint64_t fibers_live = 0;
  std::uint64_t fibers_ready = 0;   // queued; approximate while workers run
  std::uint64_t fibers_parked = 0;  // the rest of the live ones; approximate as well
  std::uint64_t switches = 0;
  std::uint64_t steals = 0;
  std::uint64_t polls = 0;
  std::uint64_t sleeps = 0;         // times a worker had nothing to do and waited
  std::uint64_t timers = 0;         // armed now
  std::uint64_t stacks_in_use = 0;  // of the whole process
  std::uint64_t stacks_cached = 0;
};

namespace detail {

class runtime_core;
struct runtime_deleter {
  WEFT_API void operator()(runtime_core* core) const noexcept;
};
struct on_calling_thread {};

}  // namespace detail

// Fibers on threads of their own, beside the program's.
//
//   weft::runtime fibers;
//   int answer = fibers.go([] { return 42; }).join();     // from any thread
class WEFT_API runtime {
 public:
  // Throws: std::system_error if threads or descriptors cannot be had.
  explicit runtime(const options& how = {});

  // shutdown().
  ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  // Starts f(args...) as a fiber of this runtime.   Threads: any.
  // Throws: std::logic_error after shutdown(), std::bad_alloc.
  template <class F, class... Args, class = std::enable_if_t<detail::is_callable_task<F>>>
  fiber<detail::result_of_call<F, Args...>> go(F&& f, Args&&... args) {
    return go(fiber_options{}, std::forward<F>(f), std::forward<Args>(args)...);
  }

  template <class F, class... Args>
  fiber<detail::result_of_call<F, Args...>> go(const fiber_options& how, F&& f, Args&&... args) {
    using result = detail::result_of_call<F, Args...>;
    detail::control* task =
        detail::make_task<result>(home(), how, std::forward<F>(f), std::forward<Args>(args)...);
    detail::start_task(task);
    return detail::adopt_task<result>(task);
  }

  // Cancels all fibers, waits until they have ended, and stops the threads. Idempotent.
  // Threads: any but a fiber of this runtime, where it throws std::logic_error.
  void shutdown();

  // The runtime of the calling fiber, be it of run() or of a runtime object; null on a plain
  // thread.
  static runtime* current() noexcept;

  // Threads: any.
  metrics stats() const;

 private:
  template <class F>
  friend std::invoke_result_t<F&> run(const options&, F&&);

  // For run(): worker 0 is the caller, in run_workers(), which returns once stop() was called and
  // every fiber has ended.
  runtime(const options& how, detail::on_calling_thread);
  void run_workers() noexcept;
  void stop() noexcept;

  detail::scheduler* home() const;

  std::unique_ptr<detail::runtime_core, detail::runtime_deleter> core_;
};

// Starts the workers, the calling thread being one, and runs f as the first fiber.
// Returns, or throws, what f does, after every other fiber has ended: those still alive are
// cancelled and waited for. Throws: std::logic_error inside a fiber; std::system_error if threads
// or descriptors for the workers cannot be had.
template <class F>
std::invoke_result_t<F&> run(const options& how, F&& f) {
  using result = std::invoke_result_t<F&>;
  fiber<result> first;
  {
    runtime fibers(how, detail::on_calling_thread{});
    first = fibers.go(fiber_options{"main"}, [&fibers, &f]() -> result {
      struct stopper {
        runtime& fibers;
        ~stopper() { fibers.stop(); }
      } stop{fibers};
      return f();
    });
    fibers.run_workers();
  }
  return first.join();
}

template <class F>
std::invoke_result_t<F&> run(F&& f) {
  return run(options{}, std::forward<F>(f));
}

}  // namespace weft
