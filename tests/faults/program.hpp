// What the commands of fault_program share. Each prints "key value" lines, which the tests read.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <weft/weft.hpp>

namespace faults {

using namespace std::chrono_literals;

// The words after the name of the command.
class arguments {
 public:
  arguments(int count, char** words) : words_(words, words + count) {}

  std::string text(std::size_t at, const char* otherwise) const {
    return at < words_.size() ? words_[at] : otherwise;
  }
  std::size_t number(std::size_t at, std::size_t otherwise) const {
    return at < words_.size() ? std::strtoull(words_[at].c_str(), nullptr, 10) : otherwise;
  }

 private:
  std::vector<std::string> words_;
};

template <class Value>
void say(const char* key, const Value& value) {
  std::string text;
  if constexpr (std::is_arithmetic_v<Value>)
    text = std::to_string(value);
  else
    text = value;
  text = std::string(key) + " " + text + "\n";
  // Not by stdio, which drops what an interrupted call should have written.
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t some = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (some > 0) done += static_cast<std::size_t>(some);
    if (some < 0 && errno != EINTR) return;
  }
}

inline std::size_t entries_of(const char* folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (auto at = std::filesystem::directory_iterator(folder, ignored);
       at != std::filesystem::directory_iterator(); at.increment(ignored))
    ++count;
  return count;
}
inline std::size_t open_descriptors() { return entries_of("/proc/self/fd"); }

// Those that are open now, what libuv opens once for the process included.
inline std::size_t descriptors_of_the_library() {
  weft::run([] {});
  return open_descriptors();
}

// A thread that was joined is listed for a moment longer.
inline std::size_t threads_after(std::size_t expected) {
  std::size_t now = 0;
  for (int i = 0; i < 200; ++i) {
    now = entries_of("/proc/self/task");
    if (now <= expected) break;
    usleep(1000);
  }
  return now;
}

// Bytes of which each position has its own value, so that a lost or doubled one shows.
inline char byte_at(std::size_t position) noexcept {
  return static_cast<char>((position * 2654435761u) >> 13);
}

// FNV-1a, of many pieces in a row.
class checksum {
 public:
  void add(const char* bytes, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i)
      value_ = (value_ ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3u;
  }
  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

// SIGTERM as something to wait for. One in the process.
class stop_signal {
 public:
  stop_signal() {
    if (::pipe(ends()) != 0) throw std::system_error(errno, std::generic_category());
    struct sigaction how {};
    how.sa_handler = [](int) {
      if (::write(ends()[1], "x", 1) < 0) return;
    };
    how.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &how, nullptr);
  }
  void wait() const { weft::wait_readable(ends()[0]); }

 private:
  static int* ends() noexcept {
    static int both[2];
    return both;
  }
};

int echo(const arguments& given);
int accept_loop(const arguments& given);
int talk_server(const arguments& given);
int talk_client(const arguments& given);
int spawn_until_failure(const arguments& given);
int start_often(const arguments& given);
int start_with_few_descriptors(const arguments& given);
int many_stacks(const arguments& given);
int overflow(const arguments& given);
int null_write(const arguments& given);
int storm_of_signals(const arguments& given);
int reset_while_writing(const arguments& given);

}  // namespace faults
