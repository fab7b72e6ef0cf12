// What the tests of files share: a directory that is gone afterwards, and ways to make the page
// cache, the pool and the disk do what a test needs.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "io/file_calls.hpp"
#include "io/file_pool.hpp"
#include "support/fixture.hpp"

namespace weft_test {

class file_fixture : public fiber_fixture {
 protected:
  void SetUp() override {
    std::string name = parent() + "/weft-test-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fiber_fixture::SetUp();
  }
  void TearDown() override {
    fiber_fixture::TearDown();
    std::filesystem::remove_all(folder_);
  }

  // In which the test's own directory is made.
  virtual std::string parent() const { return std::filesystem::temp_directory_path().string(); }

  std::string in(const std::string& name) const { return folder_ + "/" + name; }

  // What is in the folder, as weft lists it.
  std::vector<std::string> names() const { return weft::list_directory(folder_); }

 private:
  std::string folder_;
};

template <class F>
void expect_error(std::errc code, F&& f, const std::string& text = {}) {
  try {
    f();
    ADD_FAILURE() << "no error, expected: " << std::make_error_code(code).message();
  } catch (const weft::io_error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    if (!text.empty()) {
      EXPECT_EQ(error.what(), text);
    }
  }
}

inline std::string random_bytes(std::size_t n) {
  static std::mt19937_64 random(42);
  std::string bytes(n, '\0');
  for (char& each : bytes) each = static_cast<char>(random());
  return bytes;
}

// Whether a cached file can be opened and read without a thread here.
inline bool reads_in_place([[maybe_unused]] const std::string& path) {
#if defined(__linux__) && defined(RWF_NOWAIT)
  char byte;
  const iovec room{&byte, 1};
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool can = preadv2(fd, &room, 1, 0, RWF_NOWAIT) == 1;
  close(fd);
  const weft::detail::unique_fd root(weft::detail::calls::open_cached("/", O_PATH));
  return can && root.get() >= 0;
#else
  return false;
#endif
}

inline void drop_from_cache([[maybe_unused]] const std::string& path) {
#ifdef POSIX_FADV_DONTNEED
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
#endif
}

// While it lives, every thread of libuv's pool waits.
class busy_pool {
 public:
  busy_pool() {
    for (int i = 0; i < threads(); ++i)
      fibers_.go([this] {
        weft::shield to_the_end;
        return weft::detail::in_file_pool("busy", [this] {
          there_.count_down();
          over_.wait();
          return 0;
        });
      });
    there_.wait();
  }
  ~busy_pool() { over_.set(); }

  static int threads() {
    const char* set = std::getenv("UV_THREADPOOL_SIZE");
    return set != nullptr ? std::atoi(set) : 4;
  }

 private:
  weft::latch there_{threads()};
  weft::event over_;
  weft::group fibers_;  // the first to be destroyed: waits for the fibers
};

// Makes writing fail past this size, instead of a full disk.
class file_size_limit {
 public:
  explicit file_size_limit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~file_size_limit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace weft_test
