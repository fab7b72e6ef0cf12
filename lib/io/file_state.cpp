// See file_state.hpp.
#include "io/file_state.hpp"

#include <cerrno>
#include <weft/cancel.hpp>

#include "io/file_pool.hpp"

namespace weft::detail {
namespace {

std::string printable(const std::string& path) {
  std::string shown;
  for (const char c : path) {
    if (c == '\0')
      shown += "\\0";
    else
      shown += c;
  }
  return shown;
}

}  // namespace

int close_file(int fd, bool may_block) noexcept {
  const control* self = current_fiber();
  const bool may_park = self != nullptr && !self->done.load(std::memory_order_relaxed);
  if (may_block && may_park) {
    try {
      shield until_closed;
      return in_file_pool("close", [fd] { return calls::close(fd); });
    } catch (...) {  // no room for the request: nothing has begun
    }
  }
  return calls::close(fd);
}

void throw_file_error(int code, const char* verb, const std::string& path) {
  throw io_error(std::error_code(-code, std::generic_category()),
                 "cannot " + std::string(verb) + " " + printable(path));
}

control& begin_path_call(const char* operation, const char* verb, const std::string& path) {
  control& self = begin_io(operation);
  if (path.find('\0') != std::string::npos) throw_file_error(-EINVAL, verb, path);
  return self;
}

file_kind kind_of(const struct stat& about, const char* verb, const std::string& path) {
  if (S_ISDIR(about.st_mode)) throw_file_error(-EISDIR, verb, path);
  if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)) return file_kind::regular;
  return S_ISFIFO(about.st_mode) ? file_kind::pipe : file_kind::device;
}

weft::file adopt_file(unique_fd fd, const std::string& path, open_mode mode,
                      std::uint64_t position) {
  const auto has = [mode](open_mode one) {
    return (static_cast<unsigned>(mode) & static_cast<unsigned>(one)) != 0;
  };
  const bool writes = has(open_mode::write) || has(open_mode::append);
  const int number = fd.get();
  weft::file made =
      file_access::make(new file_state(std::move(fd), path, writes, has(open_mode::append)));
  file_state& state = file_access::state(made);
  state.position = position;
  if (!writes && calls::tells_bytes(number)) return made;
  struct stat about;
  if (const int error = calls::status(number, about)) throw_file_error(error, "open", path);
  state.classify(about, "open");
  return made;
}

void file_state::classify(const struct stat& about, const char* verb) {
  const file_kind found = kind_of(about, verb, path);
  // A block device tells no size, so a short read could not be told from the end.
  if (S_ISBLK(about.st_mode)) way.store(calls::read_way::thread, std::memory_order_relaxed);
  kind.store(found, std::memory_order_release);  // pairs with file_use::kind()
}

// ---- the operations under way

bool file_state::enter() noexcept {
  const unsigned before = word_.fetch_add(one_use, std::memory_order_acq_rel);
  if ((before & closed_) == 0) return true;
  leave();
  return false;
}

int file_state::leave() noexcept {
  int error = 0;
  unsigned seen = word_.load(std::memory_order_acquire);
  for (;;) {
    const bool last = seen / one_use == 1;
    if (last && (seen & closed_) != 0)
      if (const int failed = let_go()) error = failed;
    if (word_.compare_exchange_weak(seen, seen - one_use, std::memory_order_acq_rel,
                                    std::memory_order_acquire))
      break;
  }
  if (seen == (one_use | closed_ | orphaned_)) delete this;
  return error;
}

int file_state::close() noexcept {
  if (!enter()) return 0;
  const unsigned before = word_.fetch_or(closed_, std::memory_order_seq_cst);
  // Either we see the watch here, or ready_watch() sees `closed`.
  if ((before & closed_) == 0)
    if (watch* there = watch_.load(std::memory_order_seq_cst)) there->close();
  return leave();
}

// Once, when it is closed.
void file_state::orphan() noexcept {
  word_.fetch_add(one_use + orphaned_, std::memory_order_acq_rel);
  leave();
}

// By an operation that was the only one under way in a closed file. It may park meanwhile, and then
// others come and go.
int file_state::let_go() noexcept {
  if (fd() < 0) return 0;
  const int fd = fd_.exchange(-1, std::memory_order_acq_rel);
  if (fd < 0) return 0;
  if (watch* there = watch_.exchange(nullptr, std::memory_order_acq_rel)) there->release();
  return close_file(fd, written.load(std::memory_order_relaxed));
}

// ---- readiness

watch& file_state::ready_watch(const char* verb) {
  if (watch* there = watch_.load(std::memory_order_acquire)) return *there;
  unique_fd copy(calls::duplicate(fd()));
  if (copy.get() < 0) throw_file_error(copy.get(), verb, path);
  watch* made = watch::make(copy.get());
  copy.release();
  watch* there = nullptr;
  if (!watch_.compare_exchange_strong(there, made, std::memory_order_seq_cst)) {
    made->release();
    return *there;
  }
  if ((word_.load(std::memory_order_seq_cst) & closed_) != 0) made->close();  // see close()
  return *made;
}

void file_state::wait_ready(direction which, const char* verb) {
  switch (ready_watch(verb).wait(which, verb)) {
    case ready_state::ready:
    case ready_state::timed_out:
      return;
    case ready_state::closed:
      throw_file_error(-EBADF, verb, path);
    case ready_state::busy:
      throw_file_error(-EBUSY, verb, path);
    case ready_state::failed:  // a device that says "later" and cannot be waited for
      throw_file_error(-EAGAIN, verb, path);
  }
}

namespace {

file_state& referred(file_state* of, const char* verb) {
  if (of == nullptr) throw_file_error(-EBADF, verb, "(no file: default-made or moved from)");
  return *of;
}

}  // namespace

file_kind file_use::kind() {
  const file_kind known = file_.kind.load(std::memory_order_acquire);
  if (known != file_kind::unasked) return known;
  struct stat about;
  if (const int error = calls::status(file_.fd(), about)) fail(error);
  file_.classify(about, verb_);
  return file_.kind.load(std::memory_order_relaxed);
}

file_use::file_use(file_state* of, const char* operation, const char* verb)
    : self_(begin_io(operation)), verb_(verb), file_(referred(of, verb)) {
  if (!file_.enter()) fail(-EBADF);
}

void finish_write(file_use& use, int error, bool complete) {
  if (error != 0) use.fail(error);
  if (!complete) throw_cancelled();
}

}  // namespace weft::detail
