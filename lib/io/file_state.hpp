// What stands behind a weft::file, and what its operations have in common.
// Any fiber reads, writes and closes; a plain thread may destroy the file.
//
// (1) word_ counts the operations under way, beside two flags. Who finds `closed` when it enters
//     goes away at once; the last operation to leave a closed file closes the descriptor, before it
//     is counted off. So no operation ever meets a descriptor that was closed, or given to another
//     file.
// (2) close() and the destructor are operations as well. The destructor sets `orphaned`; the last
//     one to leave an orphaned file frees this object.
// (3) The descriptor is non-blocking, which matters to pipes and devices only. Readiness is awaited
//     on a duplicate: closing the watch closes that, not the descriptor an operation may be using.
// (4) Asking for the kind of a file costs a sixth of opening, reading and closing a small one. So
//     it waits: if the first read gets all it wants from the page cache, there is no need to know.
// (5) A regular file is read and written at explicit offsets, so the kernel's own position, and the
//     lock that protects it there, are not used.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <weft/file.hpp>

#include "io/budget.hpp"
#include "io/file_calls.hpp"
#include "reactor/watch.hpp"

namespace weft::detail {

enum class file_kind : unsigned char {
  unasked,  // opened to read, and no directory: the first use asks
  regular,  // block devices too: has offsets, reads in place or in the pool
  pipe,     // reads and writes in place, waits for readiness
  device,   // in the pool, since a driver may ignore O_NONBLOCK; waits for readiness as well
};

inline constexpr std::size_t pool_step = 1024 * 1024;  // bytes between two looks at cancellation
inline constexpr std::size_t place_step = 256 * 1024;  // bytes between two looks at the budget

[[noreturn]] void throw_file_error(int code, const char* verb, const std::string& path);

// Closes it, in the pool if it may block: some network file systems flush then. But a fiber that
// has ended cannot park any more; its result may be a file. 0 or an error.
int close_file(int fd, bool may_block) noexcept;

// What a call that takes a path begins with; see also begin_io().
control& begin_path_call(const char* operation, const char* verb, const std::string& path);

// Throws is_a_directory, and tells how to treat the rest.
file_kind kind_of(const struct stat& about, const char* verb, const std::string& path);

// What a public call tells of it. In file_tree.cpp.
file_info info_of(const struct stat& about) noexcept;

class file_state {
 public:
  file_state(unique_fd fd, const std::string& opened_by, bool write, bool append)
      : path(opened_by), appends(append), awaits_writer(!write), fd_(fd.get()) {
    fd.release();
  }

  const std::string path;
  const bool appends;
  std::atomic<file_kind> kind{file_kind::unasked};
  std::atomic<bool> awaits_writer;  // for a pipe: perhaps it has had no writer yet
  std::atomic<calls::read_way> way{calls::read_way::cached};
  std::atomic<bool> written{false};  // then closing may block
  std::atomic<bool> position_taken{false};
  std::uint64_t position = 0;  // guarded by position_taken

  bool enter() noexcept;
  int leave() noexcept;  // the error of closing, if this was the operation that closed
  int close() noexcept;
  void orphan() noexcept;
  bool closed() const noexcept { return (word_.load(std::memory_order_acquire) & closed_) != 0; }

  // Sets the kind, and the way to read that goes with it.
  void classify(const struct stat& about, const char* verb);

  // During an operation only.
  int fd() const noexcept { return fd_.load(std::memory_order_relaxed); }

  // Parks until the descriptor is ready.
  void wait_ready(direction which, const char* verb);

 private:
  static constexpr unsigned closed_ = 1, orphaned_ = 2, one_use = 4;

  ~file_state() = default;
  watch& ready_watch(const char* verb);
  int let_go() noexcept;

  std::atomic<unsigned> word_{0};
  std::atomic<int> fd_;
  std::atomic<watch*> watch_{nullptr};
};

// One operation of a fiber on a file.
class file_use {
 public:
  file_use(file_state* of, const char* operation, const char* verb);
  ~file_use() { file_.leave(); }
  file_use(const file_use&) = delete;
  file_use& operator=(const file_use&) = delete;

  control& self() noexcept { return self_; }
  file_state& file() noexcept { return file_; }
  file_kind kind();  // asks for it, if nobody has yet
  bool may_be_regular() const noexcept {
    return file_.kind.load(std::memory_order_acquire) <= file_kind::regular;
  }
  void note_written() noexcept { file_.written.store(true, std::memory_order_relaxed); }
  [[noreturn]] void fail(int code) { throw_file_error(code, verb_, file_.path); }
  void wait_ready(direction which) { file_.wait_ready(which, verb_); }

 private:
  control& self_;
  const char* const verb_;
  file_state& file_;
};

// What a write has come to.
void finish_write(file_use& use, int error, bool complete);

// The file's position, for one fiber at a time.
class position_hold {
 public:
  explicit position_hold(file_use& use) : file_(use.file()) {
    // Pairs with the release below.
    if (file_.position_taken.exchange(true, std::memory_order_acquire)) use.fail(-EBUSY);
  }
  ~position_hold() { file_.position_taken.store(false, std::memory_order_release); }
  position_hold(const position_hold&) = delete;
  position_hold& operator=(const position_hold&) = delete;

 private:
  file_state& file_;
};

struct file_access {
  static weft::file make(file_state* state) { return weft::file(state); }
  static file_state& state(const weft::file& of) { return *of.state_; }
};

// Makes a file of an open descriptor.
weft::file adopt_file(unique_fd fd, const std::string& path, open_mode mode,
                      std::uint64_t position);

}  // namespace weft::detail
