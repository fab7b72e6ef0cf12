// See thread_pool.hpp.
#include "reactor/thread_pool.hpp"

#include <algorithm>
#include <chrono>

#include "base/assert.hpp"

#ifndef _WIN32
#include <signal.h>
#endif

namespace weft::detail {
namespace {
constexpr auto idle_time = std::chrono::seconds(10);  // then a thread without work ends
}  // namespace

struct thread_pool::waiting_job : job {
  explicit waiting_job(thread_pool& of) noexcept : pool(of) {}

  thread_pool& pool;
  waitable* waiter = nullptr;  // this and `finished` are guarded by the pool's lock
  bool finished = false;
};

thread_pool::~thread_pool() {
  {
    std::lock_guard<std::mutex> hold(lock_);
    WEFT_CHECK(jobs_.empty());
    over_ = true;
  }
  more_.notify_all();
  for (std::thread& each : all_) each.join();
}

void thread_pool::execute(void (*run)(void* what) noexcept, void* what) {
  waiting_job mine(*this);
  mine.run = run;
  mine.what = what;
  {
    parking wait("blocking");
    mine.waiter = &wait.self();
    try {
      std::lock_guard<std::mutex> hold(lock_);
      reap();
      start_thread_if_needed();
      jobs_.push_back(mine);
      ++queued_;
    } catch (...) {
      wait.abandon();
      throw;
    }
    more_.notify_one();
    if (wait.park() == wake_reason::notified) return;
  }
  {
    std::lock_guard<std::mutex> hold(lock_);
    mine.waiter = nullptr;
    if (mine.linked()) {
      intrusive_list<job>::erase(mine);
      --queued_;
      throw_cancelled();
    }
  }
  for (;;) {  // it has begun: what it refers to is ours, so we stay until it ends
    parking wait("blocking", cancellation::ignored);
    {
      std::lock_guard<std::mutex> hold(lock_);
      if (mine.finished) {
        wait.abandon();
        return;
      }
      mine.waiter = &wait.self();
    }
    wait.park();
  }
}

// Under lock_.
void thread_pool::start_thread_if_needed() {
  if (queued_ < idle_ || threads_ >= most_) return;
  try {
#ifndef _WIN32
    // Signals are for the program's own threads.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct restore {
      sigset_t& to;
      ~restore() { pthread_sigmask(SIG_SETMASK, &to, nullptr); }
    } undo{before};
#endif
    all_.emplace_back([this] { work(); });
    ++threads_;
  } catch (...) {
    if (threads_ == 0) throw;  // otherwise the others get to it
  }
}

// Under lock_. Threads that ended for want of work.
void thread_pool::reap() noexcept {
  for (std::thread::id id : ended_) {
    auto at = std::find_if(all_.begin(), all_.end(),
                           [id](const std::thread& each) { return each.get_id() == id; });
    if (at == all_.end()) continue;
    at->join();
    all_.erase(at);
  }
  ended_.clear();
}

void thread_pool::work() noexcept {
  std::unique_lock<std::mutex> hold(lock_);
  for (;;) {
    ++idle_;
    const bool got = more_.wait_for(hold, idle_time, [this] { return over_ || !jobs_.empty(); });
    --idle_;
    if (!got || (over_ && jobs_.empty())) break;
    auto& mine = static_cast<waiting_job&>(*jobs_.pop_front());
    --queued_;
    hold.unlock();
    mine.run(mine.what);
    hold.lock();
    mine.finished = true;
    waitable* who = mine.waiter;  // null: it is about to look at `finished`
    if (who != nullptr && try_claim(*who, wake_reason::notified) == claim::must_resume) {
      hold.unlock();
      resume(*who);
      hold.lock();
    }
  }
  --threads_;
  if (!over_) ended_.push_back(std::this_thread::get_id());
}

}  // namespace weft::detail
