// Files in the page cache: open, read and close one of 4 KiB; read 4 KiB anywhere in one of 64 MiB;
// by one fiber, and by 64 at once. Floor: the same system calls, plainly.
#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <weft/file.hpp>
#include <weft/go.hpp>

#include "support.hpp"

namespace {

constexpr std::size_t block_bytes = 4096;
constexpr std::uint64_t blocks = 16 * 1024;

using block = std::array<char, block_bytes>;

// A file of so many blocks in the page cache, gone at the end.
class scratch_file {
 public:
  explicit scratch_file(std::uint64_t count) {
    const int fd = bench::checked(::mkstemp(path_), "mkstemp");
    const block zeros{};
    for (std::uint64_t i = 0; i < count; ++i)
      if (::write(fd, zeros.data(), zeros.size()) != block_bytes) std::abort();
    ::close(fd);
  }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  ~scratch_file() { ::unlink(path_); }

  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/weft_file_bench_XXXXXX";
};

// Another block each time, all over the file.
std::uint64_t anywhere(std::uint64_t i) { return i * 0x9E3779B97F4A7C15u % blocks * block_bytes; }

// work(i) in turn by so many fibers, which yield after each call: an iteration is one call.
template <class F>
void by_fibers(benchmark::State& state, const F& work) {
  bool over = false;
  std::int64_t calls = 0;
  std::vector<weft::fiber<void>> others;
  for (std::int64_t k = 1; k < state.range(0); ++k) {
    others.push_back(weft::go([&] {
      block room;
      while (!over) {
        work(static_cast<std::uint64_t>(calls++), room);
        weft::yield();
      }
    }));
  }
  block room;
  while (state.KeepRunningBatch(state.range(0))) {
    work(static_cast<std::uint64_t>(calls++), room);
    weft::yield();
  }
  over = true;
  for (auto& each : others) each.join();
}

void open_read_close_floor(benchmark::State& state) {
  const scratch_file file(1);
  block room;
  for (auto _ : state) {
    const int fd = ::open(file.path(), O_RDONLY | O_CLOEXEC);
    if (::read(fd, room.data(), room.size()) != block_bytes) std::abort();
    ::close(fd);
  }
}

void open_read_close(benchmark::State& state) {
  const scratch_file file(1);
  bench::in_fibers(1, [&] {
    by_fibers(state, [&](std::uint64_t, block& room) {
      auto opened = weft::open_file(file.path());
      if (opened.read(room.data(), room.size()) != block_bytes) std::abort();
      opened.close();
    });
  });
}

void read_at_floor(benchmark::State& state) {
  const scratch_file file(blocks);
  const int fd = bench::checked(::open(file.path(), O_RDONLY | O_CLOEXEC), "open");
  block room;
  std::uint64_t i = 0;
  for (auto _ : state) {
    const auto at = static_cast<off_t>(anywhere(i++));
    if (::pread(fd, room.data(), room.size(), at) != block_bytes) std::abort();
  }
  ::close(fd);
}

void read_at(benchmark::State& state) {
  const scratch_file file(blocks);
  bench::in_fibers(1, [&] {
    auto opened = weft::open_file(file.path());
    by_fibers(state, [&](std::uint64_t i, block& room) {
      if (opened.read_at(room.data(), room.size(), anywhere(i)) != block_bytes) std::abort();
    });
  });
}

BENCHMARK(open_read_close_floor);
BENCHMARK(open_read_close)->ArgName("fibers")->Arg(1)->Arg(64);
BENCHMARK(read_at_floor);
BENCHMARK(read_at)->ArgName("fibers")->Arg(1)->Arg(64);

}  // namespace

BENCHMARK_MAIN();
