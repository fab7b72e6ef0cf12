// Workloads on files: file_read, pread. libuv makes the calls on its thread pool; c at a time.
#pragma once
#include <fcntl.h>
#include <uv.h>

#include <string>
#include <vector>

#include "../common/program.hpp"

namespace on_libuv {

inline constexpr unsigned block_bytes = 4096;

// What one of c readers does, again and again until n are done.
class reader {
 public:
  struct work {
    std::string path;
    uv_file shared = -1;  // what pread reads from; otherwise each opens path
    long next = 0;
    long n = 0;
    bool short_read = false;
  };

  explicit reader(work& of) : of_(of) {
    request_.data = this;
    begin();
  }

 private:
  static reader& of(uv_fs_t* request) {
    uv_fs_req_cleanup(request);
    return *static_cast<reader*>(request->data);
  }

  void begin() {
    if (of_.next == of_.n) return;
    const auto i = static_cast<std::uint64_t>(of_.next++);
    if (of_.shared >= 0) {
      read(of_.shared, static_cast<std::int64_t>(peer::mix(i) % 65536 * block_bytes));
    } else {
      uv_fs_open(uv_default_loop(), &request_, of_.path.c_str(), O_RDONLY, 0, [](uv_fs_t* done) {
        reader& self = of(done);
        self.file_ = static_cast<uv_file>(done->result);
        self.read(self.file_, -1);
      });
    }
  }

  void read(uv_file from, std::int64_t at) {
    uv_buf_t into = uv_buf_init(bytes_, block_bytes);
    uv_fs_read(uv_default_loop(), &request_, from, &into, 1, at, [](uv_fs_t* done) {
      reader& self = of(done);
      if (done->result != block_bytes) self.of_.short_read = true;
      self.end();
    });
  }

  void end() {
    if (of_.shared >= 0) return begin();
    uv_fs_close(uv_default_loop(), &request_, file_, [](uv_fs_t* done) { of(done).begin(); });
  }

  work& of_;
  uv_fs_t request_;
  uv_file file_ = -1;
  char bytes_[block_bytes];
};

inline int measure_reads(const peer::arguments& given, const peer::report& print,
                         reader::work all) {
  const double cpu = peer::cpu_seconds();
  const peer::stopwatch watch;
  std::vector<reader> readers;
  const long many = given.number("c", 64);
  readers.reserve(static_cast<std::size_t>(many));
  for (long i = 0; i < many; ++i) readers.emplace_back(all);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  print("us_per_op", watch.ns_each(all.n) / 1e3, "us");
  print("cpu_per_100k", (peer::cpu_seconds() - cpu) * 1e5 / static_cast<double>(all.n), "s");
  return all.short_read ? peer::fail("short read") : peer::ok;
}

inline int file_read(const peer::arguments& given, const peer::report& print) {
  reader::work all;
  all.path = given.text("f");
  all.n = given.number("n", 10'000);
  return measure_reads(given, print, all);
}

inline int pread(const peer::arguments& given, const peer::report& print) {
  reader::work all;
  all.shared = ::open(given.text("f").c_str(), O_RDONLY | O_CLOEXEC);
  if (all.shared < 0) return peer::fail("cannot open the file");
  all.n = given.number("n", 100'000);
  return measure_reads(given, print, all);
}

}  // namespace on_libuv
