// See thread_pool.hpp.
#include "reactor/thread_pool.hpp"

#include <dlfcn.h>

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "base/assert.hpp"

#ifndef _WIN32
#include <signal.h>
#endif

namespace weft::detail {
namespace {
constexpr auto idle_time = std::chrono::seconds(10);  // then a thread without work ends
}  // namespace

// What the threads share; `lock` guards all of it.
struct thread_pool::crew {
  struct member {
    std::thread thread;
    bool busy = false;   // runs a job
    bool ended = false;  // for want of work
  };

  explicit crew(unsigned limit) noexcept : most(limit) {}

  void work(member& me) noexcept;
  static void start_thread_if_needed(const std::shared_ptr<crew>& in);
  void reap() noexcept;

  const unsigned most;
  std::mutex lock;
  std::condition_variable more;
  intrusive_list<job> jobs;
  std::size_t queued = 0;
  unsigned threads = 0;
  unsigned idle = 0;
  bool over = false;
  std::list<member> members;
};

// ---- a thread

void thread_pool::crew::work(member& me) noexcept {
  std::unique_lock<std::mutex> hold(lock);
  for (;;) {
    ++idle;
    const bool got = more.wait_for(hold, idle_time, [this] { return over || !jobs.empty(); });
    --idle;
    if (!got || (over && jobs.empty())) break;
    job& mine = *jobs.pop_front();
    --queued;
    me.busy = true;
    hold.unlock();
    mine.run(mine);
    hold.lock();
    me.busy = false;
  }
  --threads;
  me.ended = true;
}

// Under the lock.
void thread_pool::crew::start_thread_if_needed(const std::shared_ptr<crew>& in) {
  if (in->queued < in->idle || in->threads >= in->most) return;
  try {
#ifndef _WIN32
    // Signals are for the program's own threads; but a fault is of the thread that makes it, and
    // where it is blocked the program's handler for it would not be called.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct restore {
      sigset_t& to;
      ~restore() { pthread_sigmask(SIG_SETMASK, &to, nullptr); }
    } undo{before};
#endif
    member& fresh = in->members.emplace_back();
    try {
      fresh.thread = std::thread([in, &fresh] { in->work(fresh); });
    } catch (...) {
      in->members.pop_back();
      throw;
    }
    ++in->threads;
  } catch (...) {
    if (in->threads == 0) throw;  // otherwise the others get to it
  }
}

// Under the lock. Threads that ended for want of work.
void thread_pool::crew::reap() noexcept {
  for (auto at = members.begin(); at != members.end();) {
    if (!at->ended) {
      ++at;
      continue;
    }
    at->thread.join();
    at = members.erase(at);
  }
}

// ---- the pool

namespace {

// Threads that are left behind run this code when the program has done with it: it must not be
// unloaded with the library or plugin that it is part of.
void stay_loaded() noexcept {
  static const char here = 0;
  Dl_info found{};
  if (dladdr(&here, &found) != 0 && found.dli_fname != nullptr)
    dlopen(found.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace

thread_pool::thread_pool(unsigned most, at_end unfinished)
    : crew_(std::make_shared<crew>(most)), unfinished_(unfinished) {}

thread_pool::~thread_pool() {
  std::list<crew::member> awaited;
  bool some_stay = false;
  {
    std::lock_guard<std::mutex> hold(crew_->lock);
    WEFT_CHECK(crew_->jobs.empty());
    crew_->over = true;
    for (auto at = crew_->members.begin(); at != crew_->members.end();) {
      const auto each = at++;
      if (each->busy && unfinished_ == at_end::leave_behind) {
        each->thread.detach();
        some_stay = true;
      } else {
        awaited.splice(awaited.end(), crew_->members, each);
      }
    }
  }
  crew_->more.notify_all();
  if (some_stay) stay_loaded();
  for (crew::member& each : awaited) each.thread.join();
}

void thread_pool::submit(job& what) {
  {
    std::lock_guard<std::mutex> hold(crew_->lock);
    crew_->reap();
    crew::start_thread_if_needed(crew_);
    crew_->jobs.push_back(what);
    ++crew_->queued;
  }
  crew_->more.notify_one();
}

bool thread_pool::withdraw(job& what) noexcept {
  std::lock_guard<std::mutex> hold(crew_->lock);
  if (!what.linked()) return false;
  intrusive_list<job>::erase(what);
  --crew_->queued;
  return true;
}

// ---- calls that are waited for

struct thread_pool::waiting_job : job {
  void (*function)(void* argument) noexcept = nullptr;
  void* argument = nullptr;
  spin_lock lock;  // guards the next two
  waitable* waiter = nullptr;
  bool finished = false;

  static void run_and_wake(job& self) noexcept {
    auto& me = static_cast<waiting_job&>(self);
    me.function(me.argument);
    claim got = claim::lost;
    waitable* who = nullptr;
    {
      std::lock_guard<spin_lock> hold(me.lock);
      me.finished = true;
      who = std::exchange(me.waiter, nullptr);
      if (who != nullptr) got = try_claim(*who, wake_reason::notified);
    }
    if (got == claim::must_resume) resume(*who);
  }
};

void thread_pool::execute(void (*function)(void* argument) noexcept, void* argument) {
  waiting_job mine;
  mine.run = &waiting_job::run_and_wake;
  mine.function = function;
  mine.argument = argument;
  {
    parking wait("blocking");
    mine.waiter = &wait.self();
    try {
      submit(mine);
    } catch (...) {
      wait.abandon();
      throw;
    }
    if (wait.park() == wake_reason::notified) {
      std::lock_guard<spin_lock> until_free(mine.lock);  // the waker may still stand in it
      return;
    }
  }
  {
    std::lock_guard<spin_lock> hold(mine.lock);
    mine.waiter = nullptr;
  }
  if (withdraw(mine)) throw_cancelled();
  for (;;) {  // it has begun: what it refers to is ours, so we stay until it ends
    parking wait("blocking", cancellation::ignored);
    {
      std::lock_guard<spin_lock> hold(mine.lock);
      if (mine.finished) {
        wait.abandon();
        return;
      }
      mine.waiter = &wait.self();
    }
    wait.park();
  }
}

}  // namespace weft::detail
