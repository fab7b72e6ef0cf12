// Files as a whole: read_file, write_file, append_file. What is not cached is done in one trip to
// the pool, from open to close.
//
// (1) A replacement is complete, and closed, before it gets the file's name; until then every way
//     out removes the temporary file. So an observer sees the old file or the new.
// (2) What is to replace a file is ours alone until it has the owner of the old one, and gets its
//     mode last: so nobody can open it who could not open the old one.
// (3) The writers run on the pool's thread and throw nothing once they have made a file.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>
#include <weft/file.hpp>

#include "io/file_name.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"

namespace weft {
namespace {

using namespace detail;

constexpr std::size_t copy_step = 128 * 1024;
constexpr std::size_t first_step = 16 * 1024;  // where the size is not known: /proc

// ---- reading

enum class outcome { complete, as_stream, in_pool, stopped };

struct reader {
  const std::string& path;
  unique_fd fd;
  std::string out;
  std::size_t size = 0;  // 0: not known
  std::size_t done = 0;
  int error = 0;

  // Room for the next part. One byte more than the size, so that a read that comes to the size is
  // short there, and needs no second one to see the end.
  std::size_t make_room(std::size_t most) {
    std::size_t room = std::clamp(done, first_step, most);
    if (size > 0 && size >= done) room = std::min(size - done + 1, most);
    if (size > 0 && done == 0) out.reserve(size + 1);
    out.resize(done + room);
    return room;
  }

  // Looks at what was opened; false if it cannot be read by offsets.
  bool inspect() {
    struct ::stat about;
    error = calls::status(fd.get(), about);
    if (error != 0) return false;
    if (S_ISDIR(about.st_mode)) error = -EISDIR;
    size = static_cast<std::size_t>(about.st_size);
    return S_ISREG(about.st_mode);
  }

  outcome read_cached(control& self) {
    std::atomic<calls::read_way> way{calls::read_way::cached};
    const stop_request stop(self);
    for (;;) {
      const std::size_t room = make_room(place_step);
      const ssize_t got = calls::read_in_place(fd.get(), way, &out[done], room, done);
      if (got < 0) {
        error = got == -EAGAIN ? 0 : static_cast<int>(got);
        return outcome::in_pool;
      }
      spend_io(self, static_cast<std::size_t>(got));
      done += static_cast<std::size_t>(got);
      if (got == 0 || (static_cast<std::size_t>(got) < room && size > 0 && done >= size))
        return outcome::complete;
      give_way(self);
      if (stop) return outcome::stopped;
    }
  }

  // On a thread of the pool.
  outcome read_all(const stop_request& stop) {
    if (fd.get() < 0) {
      fd = unique_fd(calls::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0));
      if (fd.get() < 0) {
        error = fd.get();
        return outcome::complete;
      }
      if (!inspect()) return outcome::as_stream;
    }
    for (;;) {
      if (stop) return outcome::stopped;
      const std::size_t room = make_room(pool_step);
      const ssize_t got = calls::read_at(fd.get(), &out[done], room, done);
      if (got == 0) return outcome::complete;
      // Some files of /proc and /sys have no offsets, or nothing to say yet.
      if (got == -ESPIPE || got == -EAGAIN) return outcome::as_stream;
      if (got < 0) {
        error = static_cast<int>(got);
        return outcome::complete;
      }
      done += static_cast<std::size_t>(got);
    }
  }

  // Pipes and devices: until they end.
  void read_stream() {
    file from = adopt_file(std::move(fd), path, open_mode::read, done);
    for (;;) {
      const std::size_t room = make_room(place_step);
      const std::size_t got = from.read(&out[done], room);
      if (got == 0) return;
      done += got;
    }
  }
};

}  // namespace

std::string read_file(const std::string& path) {
  control& self = begin_path_call("read_file()", "read", path);
  reader job{
      path, unique_fd(calls::open_cached(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY)), {}};
  outcome so_far = outcome::in_pool;
  if (job.fd.get() >= 0)
    so_far = job.inspect() ? job.read_cached(self) : outcome::as_stream;
  else if (job.fd.get() == -ENOENT)
    job.error = -ENOENT;
  if (so_far == outcome::in_pool && job.error == 0) {
    const stop_request stop(self);
    so_far = in_file_pool("read", [&] { return job.read_all(stop); });
  }
  if (job.error != 0) throw_file_error(job.error, "read", path);
  if (so_far == outcome::stopped) throw_cancelled();
  if (so_far == outcome::as_stream) job.read_stream();
  job.out.resize(job.done);
  if (job.out.capacity() / 2 > job.done) job.out.shrink_to_fit();
  return std::move(job.out);
}

// ---- writing

namespace {

// Nothing but one file is written, and all on one thread of the pool.
struct writer {
  const std::string& path;
  const char* from;
  std::size_t n;
  stop_request stop;

  bool stopped = false;
  bool as_stream = false;  // a pipe or device: nothing was written
  unique_fd opened{-1};    // and perhaps it is open already
  unique_fd source{-1};    // instead of `from`: a file to be copied
  const char* step = "";   // which one failed

  int fail(int code, const char* where) {
    step = where;
    return code;
  }

  // All bytes, in parts between which it may be stopped.
  int put_all(int fd, std::size_t part) {
    while (n > 0) {
      if ((stopped = static_cast<bool>(stop))) return 0;
      const ssize_t put = calls::write(fd, from, std::min(n, part));
      if (put <= 0) return put < 0 ? static_cast<int>(put) : -EIO;
      from += put;
      n -= static_cast<std::size_t>(put);
    }
    return 0;
  }

  // What is in the source; by the kernel alone if it can.
  int copy_all(int fd) {
    std::unique_ptr<char[]> buffer;
    for (std::size_t done = 0;;) {
      if ((stopped = static_cast<bool>(stop))) return 0;
      ssize_t got = buffer ? -EINVAL : calls::copy_range(source.get(), fd, pool_step);
      if (got == 0 && done > 0) return 0;
      if (got <= 0) {  // some kernels say 0 of files of /proc
        if (!buffer) buffer.reset(new char[copy_step]);
        got = calls::read(source.get(), buffer.get(), copy_step);
        if (got <= 0) return static_cast<int>(got);
        from = buffer.get();
        n = static_cast<std::size_t>(got);
        if (const int error = put_all(fd, pool_step)) return error;
      }
      done += static_cast<std::size_t>(got);
    }
  }
};

struct appender : writer {
  int run() {
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
    opened = unique_fd(calls::open(path.c_str(), flags, 0666));
    as_stream = opened.get() == -ENXIO;  // a pipe without a reader
    if (as_stream) return 0;
    if (opened.get() < 0) return opened.get();
    struct ::stat found;
    if (const int error = calls::status(opened.get(), found)) return error;
    as_stream = !S_ISREG(found.st_mode);
    if (as_stream) return 0;
    stop = stop_request();  // whole or not at all
    if (const int error = put_all(opened.get(), SIZE_MAX)) return error;
    return calls::close(opened.release());
  }
};

struct replacer : writer {
  bool to_disk = true;
  unsigned permissions = 0666;  // of a new file
  bool replaces = false;
  struct ::stat old {};
  std::string target{};
  std::string temporary{};

  // Finds the file behind symbolic links, which may be missing.
  int resolve() {
    const int found = ::stat(path.c_str(), &old) == 0 ? 0 : -errno;
    if (found != 0 && found != -ENOENT) return found;
    replaces = found == 0;
    if (replaces && S_ISDIR(old.st_mode)) return -EISDIR;
    as_stream = replaces && !S_ISREG(old.st_mode);
    if (as_stream) return 0;
    if (replaces && faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) return -errno;
    const int error = follow_links(path, target);
    as_stream = error == more_than_a_path;  // /dev/stdout leads to a file that stays open
    return as_stream ? 0 : error;
  }

  int fill(int fd) {
    if (const int error = source.get() < 0 ? put_all(fd, pool_step) : copy_all(fd)) return error;
    if (stopped) return 0;
    if (replaces) {
      const bool same_owner = fchown(fd, old.st_uid, old.st_gid) == 0;
      const bool same_group = same_owner || fchown(fd, static_cast<uid_t>(-1), old.st_gid) == 0;
      // A set-user-ID file must not become one of ours.
      mode_t kept = old.st_mode & (same_owner ? 07777 : 0777);
      // What the old group may do is not for ours; and the old group are among the others now.
      if (!same_group) kept = (kept & 0700) | (kept & (kept >> 3) & 07);
      if (fchmod(fd, kept) != 0) return fail(-errno, ": set the mode of a temporary file");
    }
    if (to_disk)
      if (const int error = calls::sync(fd)) return fail(error, ": sync a temporary file");
    return 0;
  }

  int run() {
    if (const int error = resolve()) return error;
    if (as_stream) return 0;
    const int made = make_unique_file(directory_of(target) + ".weft-", O_WRONLY,
                                      replaces ? 0600 : permissions, temporary);
    if (made < 0) return fail(made, ": make a temporary file in its directory");
    int error = fill(made);
    const int closed = calls::close(made);
    if (error == 0) error = closed;
    if (error == 0 && !stopped) stopped = static_cast<bool>(stop);
    if (error == 0 && !stopped) {
      if (::rename(temporary.c_str(), target.c_str()) == 0) return 0;
      error = fail(-errno, ": rename a temporary file");
    }
    ::unlink(temporary.c_str());
    return error;
  }
};

template <class Writer>
void run_writer(Writer& job, const char* verb, open_mode mode) {
  const char* const from = job.from;
  const std::size_t n = job.n;
  const int error = in_file_pool("write", [&] { return job.run(); });
  if (error != 0) throw_file_error(error, verb, job.path + job.step);
  if (job.stopped) throw_cancelled();
  if (!job.as_stream) return;
  // A reader of a pipe would see its end if we opened the pipe a second time.
  file to = job.opened.get() >= 0 ? adopt_file(std::move(job.opened), job.path, mode, 0)
                                  : open_file(job.path, mode);
  to.write(from, n);
  to.close();
}

// From or to a pipe or device.
void copy_stream(unique_fd opened, const std::string& from, const std::string& to,
                 unsigned permissions) {
  const auto mode = open_mode::write | open_mode::create | open_mode::truncate;
  file in = adopt_file(std::move(opened), from, open_mode::read, 0);
  file out = open_file(to, mode, permissions);
  const std::unique_ptr<char[]> buffer(new char[copy_step]);
  while (const std::size_t got = in.read(buffer.get(), copy_step)) out.write(buffer.get(), got);
  out.close();
}

}  // namespace

void write_file(const std::string& path, const void* from, std::size_t n, durable wait_for_disk) {
  control& self = begin_path_call("write_file()", "write", path);
  replacer job{{path, static_cast<const char*>(from), n, stop_request(self)}};
  job.to_disk = wait_for_disk == durable::yes;
  run_writer(job, "write", open_mode::write | open_mode::truncate);
}

void append_file(const std::string& path, const void* from, std::size_t n) {
  control& self = begin_path_call("append_file()", "append to", path);
  appender job{{path, static_cast<const char*>(from), n, stop_request(self)}};
  run_writer(job, "append to", open_mode::append);
}

void copy_file(const std::string& from, const std::string& to, durable wait_for_disk) {
  control& self = begin_path_call("copy_file()", "copy", from);
  if (to.find('\0') != std::string::npos) throw_file_error(-EINVAL, "copy to", to);
  replacer job{{to, nullptr, 0, stop_request(self)}};
  job.to_disk = wait_for_disk == durable::yes;
  bool from_found = false;
  const int error = in_file_pool("copy", [&] {
    job.source = unique_fd(calls::open(from.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0));
    struct ::stat about;
    if (job.source.get() < 0) return job.source.get();
    if (const int failed = calls::status(job.source.get(), about)) return failed;
    if (S_ISDIR(about.st_mode)) return -EISDIR;
    from_found = true;
    job.permissions = about.st_mode & 0777;
    job.as_stream = !S_ISREG(about.st_mode);
    return job.as_stream ? 0 : job.run();
  });
  if (error != 0 && !from_found) throw_file_error(error, "copy", from);
  if (error != 0) throw_file_error(error, "copy", from + " to " + to + job.step);
  if (job.stopped) throw_cancelled();
  if (job.as_stream) copy_stream(std::move(job.source), from, to, job.permissions);
}

}  // namespace weft
