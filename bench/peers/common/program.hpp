// What each program of the comparison needs: its arguments, clocks, and the lines that it prints.
#pragma once
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace peer {

enum exit_status { ok = 0, failed = 1, unsupported = 2 };

inline int fail(const std::string& why) {
  std::fprintf(stderr, "failed: %s\n", why.c_str());
  return failed;
}

// <program> <workload> [key=value ...]
class arguments {
 public:
  arguments(int argc, char** argv) {
    if (argc > 1) workload_ = argv[1];
    for (int i = 2; i < argc; ++i) {
      const std::string word = argv[i];
      const auto equals = word.find('=');
      if (equals != word.npos) values_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }

  const std::string& workload() const { return workload_; }

  long number(const std::string& key, long otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : std::stol(found->second);
  }

  std::string text(const std::string& key, const std::string& otherwise = {}) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }

 private:
  std::string workload_;
  std::map<std::string, std::string> values_;
};

class stopwatch {
 public:
  std::int64_t nanoseconds() const {
    const auto passed = std::chrono::steady_clock::now() - begin_;
    return std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
  }
  double ns_each(long n) const {
    return static_cast<double>(nanoseconds()) / static_cast<double>(n);
  }
  double milliseconds() const { return static_cast<double>(nanoseconds()) / 1e6; }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Of the whole process, user and system.
inline double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

inline double resident_bytes() {
  double size = 0;
  double resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// splitmix64: the same "random" numbers in every program.
inline std::uint64_t mix(std::uint64_t i) {
  std::uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Work whose result is inexact, so that it sets a flag in the floating-point status word.
inline double inexact(double x) {
  x = x / 3 + 1;
  asm volatile("" : "+m"(x));
  return x;
}

class report {
 public:
  explicit report(std::string workload) : workload_(std::move(workload)) {}

  void operator()(const char* metric, double value, const char* unit) const {
    std::printf("%s %s %.3f %s\n", workload_.c_str(), metric, value, unit);
    std::fflush(stdout);
  }

  void lateness(std::vector<std::int64_t> nanoseconds) const {
    std::sort(nanoseconds.begin(), nanoseconds.end());
    const std::size_t n = nanoseconds.size();
    const auto microseconds = [&](std::size_t i) {
      return static_cast<double>(nanoseconds[i]) / 1e3;
    };
    (*this)("late_p50", microseconds(n / 2), "us");
    (*this)("late_p99", microseconds(n * 99 / 100), "us");
    (*this)("late_max", microseconds(n - 1), "us");
  }

 private:
  std::string workload_;
};

using table = std::map<std::string, int (*)(const arguments&, const report&)>;

}  // namespace peer
