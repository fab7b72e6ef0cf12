// Threads for calls that block, started when needed and ended when idle for a while.
// Fibers submit; pool threads run the jobs and wake the fibers. Each runtime has two pools: one for
// blocking(), one for names.
//
// (1) A job belongs to who submits it. Once run() is called the pool does not touch it any more, so
//     a job may end, or free itself, in there. One of execute() lives in the frame of the fiber
//     that waits for it: nothing of it is touched once the lock is free under which the waiter was
//     claimed.
// (2) Jobs beyond the limit queue up in order; a job that has not begun can be withdrawn.
// (3) The threads share what they use with the pool, and keep it. So one whose job does not end may
//     outlive the pool, if the jobs need nothing else of it.
// Separate from libuv's pool, which is process-wide, has four threads, and serves files.
#pragma once
#include <memory>

#include "base/intrusive_list.hpp"
#include "fiber/park.hpp"

namespace weft::detail {

class thread_pool {
 public:
  struct job : list_hook {
    void (*run)(job& self) noexcept = nullptr;
  };

  // What the end of the pool does about jobs that still run.
  enum class at_end { wait, leave_behind };

  explicit thread_pool(unsigned most, at_end unfinished = at_end::wait);
  ~thread_pool();  // no job may be queued
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  // Throws: std::system_error if no thread can be had.
  void submit(job& what);

  // True if the job has not begun, and will not.
  bool withdraw(job& what) noexcept;

  // Parks until function(argument) has returned on a pool thread. Cancellation: throws cancelled if
  // it has not begun, otherwise waits for its end.   Throws: as submit().
  void execute(void (*function)(void* argument) noexcept, void* argument);

 private:
  struct crew;
  struct waiting_job;

  const std::shared_ptr<crew> crew_;
  const at_end unfinished_;
};

}  // namespace weft::detail
