// Workloads on files in the page cache: file_read, pread.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <weft/file.hpp>

#include "../common/program.hpp"
#include "parallel.hpp"

namespace workloads {

inline constexpr std::size_t file_block_bytes = 4096;

// read(i, buffer) n times, spread over c fibers; whether each got a whole block.
template <class F>
int measure_reads(const peer::arguments& given, const peer::report& print, long n, const F& read) {
  const long fibers = given.number("c", 64);
  std::atomic<bool> short_read{false};
  const double cpu = peer::cpu_seconds();
  const peer::stopwatch watch;
  parallel(fibers, [&](long k) {
    char buffer[file_block_bytes];
    for (long i = k; i < n; i += fibers) {
      if (read(static_cast<std::uint64_t>(i), buffer) != sizeof buffer) short_read = true;
    }
  });
  if (short_read) return peer::fail("short read");
  print("us_per_op", watch.ns_each(n) / 1e3, "us");
  print("cpu_per_100k", (peer::cpu_seconds() - cpu) * 1e5 / static_cast<double>(n), "s");
  return peer::ok;
}

inline int file_read(const peer::arguments& given, const peer::report& print) {
  const std::string path = given.text("f");
  return measure_reads(given, print, given.number("n", 10'000), [&](std::uint64_t, char* buffer) {
    auto file = weft::open_file(path);
    const std::size_t n = file.read(buffer, file_block_bytes);
    file.close();
    return n;
  });
}

inline int pread(const peer::arguments& given, const peer::report& print) {
  auto file = weft::open_file(given.text("f"));
  return measure_reads(
      given, print, given.number("n", 100'000), [&](std::uint64_t i, char* buffer) {
        return file.read_at(buffer, file_block_bytes, peer::mix(i) % 65536 * file_block_bytes);
      });
}

inline void add_files(peer::table& all) {
  all["file_read"] = file_read;
  all["pread"] = pread;
}

}  // namespace workloads
