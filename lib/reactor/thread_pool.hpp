// Threads for calls that block, started when needed and ended when idle for a while.
// Fibers submit; pool threads run the jobs and wake the fibers.
//
// (1) A job lives in the frame of the fiber that waits for it; the pool does not touch it after
//     finish() has claimed the waiter.
// (2) Jobs beyond the limit queue up in order; a job that has not begun can be withdrawn.
// Separate from libuv's pool, which is process-wide, has four threads, and serves files and names.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "base/intrusive_list.hpp"
#include "fiber/park.hpp"

namespace weft::detail {

class thread_pool {
 public:
  struct job : list_hook {
    void (*run)(void* what) noexcept = nullptr;
    void* what = nullptr;
  };

  explicit thread_pool(unsigned most) noexcept : most_(most) {}
  ~thread_pool();  // waits for the threads; no job may be left

  // Parks until run(what) has returned on a pool thread. Cancellation: throws cancelled if the job
  // has not begun, otherwise waits for its end.
  // Throws: std::system_error if no thread can be had.
  void execute(void (*run)(void* what) noexcept, void* what);

 private:
  struct waiting_job;

  void work() noexcept;
  void start_thread_if_needed();
  void reap() noexcept;

  const unsigned most_;
  std::mutex lock_;
  std::condition_variable more_;
  intrusive_list<job> jobs_;
  std::size_t queued_ = 0;
  unsigned threads_ = 0;
  unsigned idle_ = 0;
  bool over_ = false;
  std::vector<std::thread> all_;
  std::vector<std::thread::id> ended_;
};

}  // namespace weft::detail
