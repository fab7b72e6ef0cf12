// Wires scheduler, reactor and thread pool together; see runtime.hpp for what users may expect.
//
// (1) Order of the end: cancel and wait for fibers, join the workers, then the pools, then the
//     loops. A name that nobody waits for any more is left to its thread.
// (2) A fork without exec leaves the child without our threads: there, starting anything throws,
//     and so does waiting; a runtime that ends is left as it is.
#include <weft/runtime.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>

#include "base/forked.hpp"
#include "context/overflow.hpp"
#include "reactor/loop.hpp"
#include "reactor/thread_pool.hpp"
#include "runtime/cpu_count.hpp"
#include "runtime/runtimes.hpp"
#include "sched/scheduler.hpp"

namespace weft {
namespace detail {
namespace {

constexpr unsigned default_blocking_threads = 64;
constexpr unsigned default_name_threads = 8;

// libuv does not take descriptors of these numbers for its own. Where the program has closed them,
// what it opens next would get them.
void fill_standard_streams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) < 0) return;
}

void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    fill_standard_streams();
    // Writing to a closed peer is an error code, not the end of the process. A handler of the
    // program's own stays.
    struct sigaction now {};
    if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
      signal(SIGPIPE, SIG_IGN);
    report_stack_overflows(describe_running_fiber);
    pthread_atfork(nullptr, nullptr, [] {
      is_forked_child.store(true, std::memory_order_relaxed);
      set_current_carrier(nullptr);
    });
  });
  refuse_in_forked_child();
}

void report(std::string_view name, const char* how, const std::exception_ptr& what) {
  std::string text = "an exception that is not a std::exception";
  try {
    std::rethrow_exception(what);
  } catch (const std::exception& e) {
    text = e.what();
  } catch (...) {
  }
  std::fprintf(stderr, "weft: fiber \"%.*s\"%s: %s\n", static_cast<int>(name.size()), name.data(),
               how, text.c_str());
}

void report_and_abort(std::string_view name, const std::exception_ptr& what) {
  report(name, ", which nobody joins, ended with", what);
  std::abort();
}

void report_also_failed(std::string_view name, const std::exception_ptr& what) {
  report(name, " failed too, after another of its group", what);
}

scheduler_config config_of(const options& how, bool calling_thread) {
  if (how.workers > idle_set::most_workers)
    throw std::invalid_argument("weft: options::workers is over " +
                                std::to_string(idle_set::most_workers));
  if (how.stack_bytes > stacks::largest)
    throw std::invalid_argument("weft: options::stack_bytes is over 1 GiB");
  scheduler_config config;
  config.workers = how.workers != 0 ? how.workers : usable_cpus();
  config.several_cpus = several_cpus();
  config.stack_bytes = how.stack_bytes;
  config.use_calling_thread = calling_thread;
  config.on_failure.unhandled = how.on_unhandled;
  if (!how.on_unhandled) config.on_failure.unhandled = report_and_abort;
  config.on_failure.also_failed = how.on_also_failed;
  if (!how.on_also_failed) config.on_failure.also_failed = report_also_failed;
  config.make_poller = [] { return std::make_unique<loop>(); };
  return config;
}

}  // namespace

class runtime_core {
 public:
  runtime_core(const options& how, bool calling_thread)
      : pool(how.blocking_threads != 0 ? how.blocking_threads : default_blocking_threads),
        names(how.name_threads != 0 ? how.name_threads : default_name_threads,
              thread_pool::at_end::leave_behind),
        fibers(config_of(how, calling_thread)),
        listed(fibers) {
    fibers.pool = &pool;
    fibers.names = &names;
  }

  void end() {
    if (is_forked_child.load(std::memory_order_relaxed)) return;
    fibers.begin_stop();
    std::lock_guard<std::mutex> one_at_a_time(ending_);
    fibers.join();
  }

  thread_pool pool;  // both after the scheduler in the end, before it at the start
  thread_pool names;
  scheduler fibers;
  listed_runtime listed;

 private:
  std::mutex ending_;
};

void runtime_deleter::operator()(runtime_core* core) const noexcept {
  if (!is_forked_child.load(std::memory_order_relaxed)) delete core;
}

}  // namespace detail

runtime::runtime(const options& how) {
  detail::prepare_process();
  core_.reset(new detail::runtime_core(how, false));
  core_->fibers.owner = this;
  core_->fibers.start();
}

runtime::runtime(const options& how, detail::on_calling_thread) {
  if (detail::current_carrier() != nullptr)
    throw std::logic_error(
        "weft::run() inside a fiber: use weft::go(), or a weft::runtime for threads of its own");
  detail::prepare_process();
  core_.reset(new detail::runtime_core(how, true));
  core_->fibers.owner = this;
  core_->fibers.start();
}

runtime::~runtime() { core_->end(); }

void runtime::run_workers() noexcept { core_->fibers.run(); }

void runtime::stop() noexcept { core_->fibers.begin_stop(); }

void runtime::shutdown() {
  detail::carrier* here = detail::current_carrier();
  if (here != nullptr && &here->home == home())
    throw std::logic_error("weft: a fiber cannot shut down the runtime it runs on");
  core_->end();
}

runtime* runtime::current() noexcept {
  detail::control* self = detail::current_fiber();
  return self == nullptr ? nullptr : static_cast<detail::scheduler*>(self->home)->owner;
}

detail::scheduler* runtime::home() const { return &core_->fibers; }

metrics runtime::stats() const {
  detail::scheduler& from = core_->fibers;
  metrics now;
  now.workers = from.worker_count();
  now.fibers_live = from.fibers.live();
  now.fibers_spawned = from.fibers.total();
  std::uint64_t queued = from.injected().size() + from.overflowed().size();
  std::uint64_t running = 0;
  for (unsigned i = 0; i < now.workers; ++i) {
    const detail::worker& each = from.at(i);
    const detail::worker_counters& counted = each.counters();
    queued += each.queued();
    running += each.in_fiber() ? 1 : 0;
    now.switches += counted.switches.load(std::memory_order_relaxed);
    now.steals += counted.steals.load(std::memory_order_relaxed);
    now.polls += counted.polls.load(std::memory_order_relaxed);
    now.sleeps += counted.sleeps.load(std::memory_order_relaxed);
    now.timers += each.timer_count();
  }
  now.fibers_ready = queued < now.fibers_live ? queued : now.fibers_live;
  const std::uint64_t awake = now.fibers_ready + running;
  now.fibers_parked = awake < now.fibers_live ? now.fibers_live - awake : 0;
  const detail::stack_counts stacks = detail::stacks::count();
  now.stacks_in_use = stacks.in_use;
  now.stacks_cached = stacks.cached;
  return now;
}

}  // namespace weft
