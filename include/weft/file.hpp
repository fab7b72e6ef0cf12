// Files and directories, without stopping the thread.
//
//   std::string notes = weft::read_file("notes.txt");
//   weft::file log = weft::open_file("app.log", weft::open_mode::append | weft::open_mode::create);
//   log.write("started\n");
//
// What the kernel has in memory is opened and read in place; everything else is done by a thread of
// libuv's pool, of which there are four unless the variable UV_THREADPOOL_SIZE says otherwise.
//
// For every call here, unless it says something else:
// Parks: while a thread of the pool works.
// Cancellation: throws cancelled if the work has not begun. Work that has begun is waited for, one
//   system call of at most 1 MiB at a time, so that is the bound: short on a local disk, as long as
//   the server hangs on a network one. If it is complete then, its result counts. Pipes (FIFOs) are
//   waited for without a thread, and that wait ends at once.
// Throws: io_error naming the operation and the path; std::logic_error outside a fiber.
// Paths: std::string, literals and std::filesystem::path will do. Symbolic links are followed. A
//   path with a NUL inside is an io_error, std::errc::invalid_argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include <weft/detail/bytes.hpp>
#include <weft/detail/config.hpp>
#include <weft/directory.hpp>
#include <weft/error.hpp>
#include <weft/stream.hpp>
#include <weft/watch.hpp>

namespace weft {
namespace detail {

class file_state;
struct file_access;
struct file_closer {
  WEFT_API void operator()(file_state* state) const noexcept;
};

}  // namespace detail

// How to open a file; values are combined by |. Without read, write or append it is read.
enum class open_mode : unsigned {
  read = 1,
  write = 2,       // what is there stays, unless truncate is given too
  append = 4,      // each write goes to the end as it then is
  create = 8,      // makes the file if there is none; otherwise that is an error
  truncate = 16,   // empties it; needs write or append
  exclusive = 32,  // makes the file, and fails with std::errc::file_exists if there is one
};

constexpr open_mode operator|(open_mode a, open_mode b) noexcept {
  return static_cast<open_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

// An open file; movable. read and write share one position, which starts at 0 and is used by one
// fiber at a time: a second one gets an io_error, std::errc::device_or_resource_busy. Appending and
// the calls that take an offset may be made by any number of fibers at once.
// Using a file that was closed, moved from or default-made throws std::errc::bad_file_descriptor.
class WEFT_API file {
 public:
  file() noexcept = default;

  // Reads at the position and moves it on. Returns how many bytes; 0 at the end of the file. Fewer
  // than n come only at the end, or from a pipe or device, or when the fiber is being cancelled.
  std::size_t read(void* to, std::size_t n);

  // Writes all n bytes at the position and moves it on, or at the end in append mode.
  // Cancellation: if it throws cancelled the first part may have been written; appending is whole.
  void write(const void* from, std::size_t n);

  // The same at this offset; the position stays.
  std::size_t read_at(void* to, std::size_t n, std::uint64_t offset);
  void write_at(const void* from, std::size_t n, std::uint64_t offset);

  // The same for containers of bytes: reads fill up to their size, which stays as it is; a text
  // literal is written without its NUL.
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t read(Bytes&& into) {
    const detail::mutable_bytes room = detail::room_of(into);
    return read(room.data, room.size);
  }
  template <class Bytes, class = detail::if_writable_bytes<Bytes>>
  std::size_t read_at(Bytes&& into, std::uint64_t offset) {
    const detail::mutable_bytes room = detail::room_of(into);
    return read_at(room.data, room.size, offset);
  }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void write(Bytes&& from) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    write(bytes.data, bytes.size);
  }
  template <class Bytes, class = detail::if_readable_bytes<Bytes>>
  void write_at(Bytes&& from, std::uint64_t offset) {
    const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
    write_at(bytes.data, bytes.size, offset);
  }

  // Writes several buffers as if they were one: log.writev({stamp, text}).
  void writev(const const_buffer* buffers, std::size_t count);
  void writev(std::initializer_list<const_buffer> buffers) {
    writev(buffers.begin(), buffers.size());
  }

  // Where the next read or write begins, unless it appends. Pipes and devices have no position:
  // std::errc::invalid_seek. Never park.
  std::uint64_t position() const;
  void seek(std::uint64_t offset);

  // The size in bytes; all that stat() tells. Never park.
  std::uint64_t size() const;
  file_info info() const;

  // Makes it this long, cutting it off or adding zeros; the position stays.
  void truncate(std::uint64_t size);

  // Returns when what was written is on the disk (fsync); datasync() when it can be read back from
  // there, though its times and mode may be old (fdatasync).
  void sync();
  void datasync();

  // Closes it, and wakes with an error who waits for a pipe; work that a thread of the pool has
  // begun ends first. Closing again does nothing. The destructor closes too, but reports no error.
  // Cancellation: ignored.   Throws: io_error if what was written is known to be lost.
  void close();

  // Whether it is open.
  explicit operator bool() const noexcept;

  // The path it was opened by.
  const std::string& path() const;

  // The descriptor, for what weft has no call for, such as locks. It is non-blocking, stays the
  // file's, and is valid until close().   Throws: io_error if there is none.
  int fd() const;

 private:
  friend struct detail::file_access;
  explicit file(detail::file_state* state) noexcept : state_(state) {}

  std::unique_ptr<detail::file_state, detail::file_closer> state_;
};

// Opens a file. A new one gets these permissions, less the process's umask. A directory cannot be
// opened: std::errc::is_a_directory.
// A pipe (FIFO) can be read as soon as it is open, and then waits for a writer; opening one to
// write waits for a reader.
WEFT_API file open_file(const std::string& path, open_mode mode = open_mode::read,
                        unsigned permissions = 0666);

// Makes an empty file of a new name in this directory, by default $TMPDIR or /tmp, and opens it to
// read and write. Only the user may access it. The caller removes it: weft::remove(made.path()).
WEFT_API file make_temp_file(const std::string& directory = std::string());

// Returns all that is in the file, also of pipes and of files in /proc, which tell no size.
WEFT_API std::string read_file(const std::string& path);

// Whether write_file waits for the disk. `yes`: after a power cut the file is the old or the new
// one; costs milliseconds. `no`: that holds if the process dies, but not if the machine does.
enum class durable { yes, no };

// Replaces what is in the file, or makes it with permissions 0666 less the umask. Whoever reads the
// file meanwhile sees the old contents or the new, never a mix: the bytes go to a temporary file in
// the same directory, which is then renamed. If it throws, also cancelled, the old file stands and
// the temporary one is gone. (A process that dies may leave it: ".weft-" and 16 digits.)
// The new file keeps mode and, as far as permitted, owner of the old, but not other hard links to
// it, nor its extended attributes. A symbolic link stays, and what it points to is replaced. A file
// that one may not write is not replaced. Pipes and devices are written to directly.
WEFT_API void write_file(const std::string& path, const void* from, std::size_t n,
                         durable wait_for_disk = durable::yes);

// Adds to the end of the file, or makes it. Bytes of several callers do not mix on a local disk.
// Cancellation: throws cancelled and adds nothing, or adds all.
WEFT_API void append_file(const std::string& path, const void* from, std::size_t n);

// Copies what is in a file, and its permission bits if the other one is new; otherwise as
// write_file(). If there is a pipe or device on either side, the other file is written in place
// until the end comes: who stops that has lost what was in it.
WEFT_API void copy_file(const std::string& from, const std::string& to,
                        durable wait_for_disk = durable::yes);

template <class Bytes, class = detail::if_readable_bytes<Bytes>>
void write_file(const std::string& path, Bytes&& from, durable wait_for_disk = durable::yes) {
  const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
  write_file(path, bytes.data, bytes.size, wait_for_disk);
}

template <class Bytes, class = detail::if_readable_bytes<Bytes>>
void append_file(const std::string& path, Bytes&& from) {
  const detail::const_bytes bytes = detail::bytes_of(std::forward<Bytes>(from));
  append_file(path, bytes.data, bytes.size);
}

}  // namespace weft
