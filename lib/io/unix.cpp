// Unix sockets; see socket.hpp for what stands behind them.
//
// (1) The file of a listener goes when the listener closes, but only while it is still the one that
//     the listener made: somebody may have replaced it.
// (2) Whether a file that is there is alive is asked by connecting to it. Two processes that find
//     it dead at once may each remove it; only one of them wins the bind after that, but the other
//     may have removed the file of the first. And one that is bound looks dead until it listens.
//     So all of that is done under an flock of the directory.
// (3) A full backlog says EAGAIN at once, and nothing tells when there is room: so it is tried
//     again, later and later.
#include <weft/unix.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <weft/time.hpp>

#include "base/forked.hpp"
#include "io/file_calls.hpp"
#include "io/file_name.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"
#include "io/socket.hpp"
#include "io/socket_calls.hpp"

namespace weft {
namespace detail {
namespace {

constexpr auto first_pause = std::chrono::milliseconds(1);
constexpr auto longest_pause = std::chrono::milliseconds(50);

raw_address raw_of(const std::string& path, const char* verb) {
  sockaddr_un named{};
  named.sun_family = AF_UNIX;
  if (path.empty() || path.find('\0') != path.npos) throw_file_error(-EINVAL, verb, path);
  if (path.size() >= sizeof named.sun_path) throw_file_error(-ENAMETOOLONG, verb, path);
  std::memcpy(named.sun_path, path.data(), path.size());
  raw_address raw;
  std::memcpy(&raw.bytes, &named, sizeof named);
  raw.size = sizeof named;
  return raw;
}

class listening_file final : public socket {
 public:
  listening_file(int fd, const std::string& at, const struct stat& made)
      : socket(fd, at, of_unix_sockets), device_(made.st_dev), inode_(made.st_ino) {}

 protected:
  void closing() noexcept override {
    if (is_forked_child.load(std::memory_order_relaxed)) return;  // it is the parent's
    struct stat now;
    if (::lstat(name.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_)
      ::unlink(name.c_str());
  }

 private:
  const dev_t device_;
  const ino_t inode_;
};

// Holds the directory, see (2), until it is destroyed. Others may hold it for purposes of their
// own, so after 100 ms we go on without.
unique_fd lock_directory(const std::string& path) {
  const std::string folder = directory_of(path);
  unique_fd held(calls::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY, 0));
  for (int tries = 0; tries < 50 && held.get() >= 0; ++tries) {
    if (::flock(held.get(), LOCK_EX | LOCK_NB) == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return held;
}

bool is_dead_socket(const std::string& path, const raw_address& raw) noexcept {
  struct stat about;
  if (::lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
  const unique_fd probe(calls::open_socket(AF_UNIX, SOCK_STREAM));
  return probe.get() >= 0 && calls::connect(probe.get(), raw) == -ECONNREFUSED;
}

int bind_file(int fd, const std::string& path, const raw_address& raw) noexcept {
  const int error = calls::bind(fd, raw);
  if (error != -EADDRINUSE || !is_dead_socket(path, raw)) return error;
  if (::unlink(path.c_str()) != 0) return error;
  return calls::bind(fd, raw);
}

// On a thread of the pool: the file system may be slow, and so may who holds the directory.
int listen_at(int fd, const std::string& path, const raw_address& raw,
              const unix_listen_options& how, struct stat& made) {
  if (::fchmod(fd, how.permissions & 0777) != 0) return -errno;  // bind() applies it to the file
  const unique_fd held = lock_directory(path);
  if (const int error = bind_file(fd, path, raw)) return error;
  int error = calls::listen(fd, how.backlog);
  if (error == 0 && ::lstat(path.c_str(), &made) != 0) error = -errno;
  if (error != 0) ::unlink(path.c_str());
  return error;
}

}  // namespace
}  // namespace detail

const std::string& unix_stream::path() const {
  return detail::referred(socket_.get(), "tell the path of").name;
}

unix_stream::credentials unix_stream::peer() const {
  detail::socket& of = detail::referred(socket_.get(), "tell the peer of");
  const detail::socket_hold in(of, "tell the peer of");
  detail::calls::peer_process who;
  if (const int error = detail::calls::peer_credentials(in.fd(), who))
    detail::throw_socket_error(error, "tell the peer of", of.whom());
  return {who.process, who.user, who.group};
}

unix_stream unix_listener::accept() {
  return detail::socket_access::make<unix_stream>(detail::accept_on(socket_.get()));
}

const std::string& unix_listener::path() const {
  return detail::referred(socket_.get(), "tell the path of").name;
}

unix_stream connect_unix(const std::string& path) {
  detail::begin_io("connect_unix()");
  const detail::raw_address raw = detail::raw_of(path, "connect to");
  for (auto pause = detail::first_pause;; pause = std::min(2 * pause, detail::longest_pause)) {
    detail::unique_fd fd(detail::calls::open_socket(AF_UNIX, SOCK_STREAM));
    int error = std::min(fd.get(), 0);
    if (error == 0) error = detail::calls::connect(fd.get(), raw);
    if (error == 0) {
      detail::socket_owner made(new detail::socket(fd.get(), path, detail::of_unix_sockets));
      fd.release();
      return detail::socket_access::make<unix_stream>(std::move(made));
    }
    if (error != -EAGAIN) detail::throw_socket_error(error, "connect to", path);
    sleep(pause);
  }
}

unix_listener listen_unix(const std::string& path, const unix_listen_options& how) {
  detail::begin_io("listen_unix()");
  const detail::raw_address raw = detail::raw_of(path, "listen on");
  detail::unique_fd fd(detail::calls::open_socket(AF_UNIX, SOCK_STREAM));
  int error = std::min(fd.get(), 0);
  struct stat made {};
  if (error == 0) {
    error = detail::in_file_pool("listen",
                                 [&] { return detail::listen_at(fd.get(), path, raw, how, made); });
  }
  if (error != 0) detail::throw_socket_error(error, "listen on", path);
  detail::socket_owner owner(new detail::listening_file(fd.get(), path, made));
  fd.release();
  return detail::socket_access::make<unix_listener>(std::move(owner));
}

std::pair<unix_stream, unix_stream> make_unix_pair() {
  detail::begin_io("make_unix_pair()");
  int ends[2];
  if (const int error = detail::calls::make_socket_pair(ends))
    detail::throw_socket_error(error, "make", "a pair of sockets");
  detail::unique_fd first(ends[0]);
  detail::unique_fd second(ends[1]);
  const auto own = [](detail::unique_fd& fd) {
    detail::socket_owner made(
        new detail::socket(fd.get(), "a socket pair", detail::of_unix_sockets));
    fd.release();
    return detail::socket_access::make<unix_stream>(std::move(made));
  };
  unix_stream one = own(first);
  return {std::move(one), own(second)};
}

}  // namespace weft
