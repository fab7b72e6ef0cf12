// Unix sockets: streams between processes of one host, by the path of a file.
//
//   weft::serve(weft::listen_unix("/run/app.sock"), [](weft::unix_stream client) {
//     for (const std::string& line : weft::buffered_reader(client).lines()) client.write(line);
//   });
//
// Cancellation and errors are those of every stream, see stream.hpp; errors name the path. A path
// with a NUL inside, or none, is an io_error, std::errc::invalid_argument, one that is too long for
// the system (108 bytes) std::errc::filename_too_long.
#pragma once

#include <string>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/serve.hpp>
#include <weft/stream.hpp>

namespace weft {

// A connection.
class WEFT_API unix_stream : public stream {
 public:
  unix_stream() noexcept = default;

  // The path of the listener, at both ends.
  const std::string& path() const;

  // Who is at the other end, as it was when the connection was made. Throws: io_error.
  struct credentials {
    int process = 0;
    unsigned user = 0;
    unsigned group = 0;
  };
  credentials peer() const;

 private:
  friend struct detail::socket_access;
  using stream::stream;
};

struct unix_listen_options {
  // How many connections may wait to be accepted; the system may allow fewer.
  int backlog = 4096;

  // Who may connect: the permissions of the file, less the process's umask.
  unsigned permissions = 0777;
};

// A listening socket; movable, closed when destroyed, and its file is removed then. One fiber at a
// time may accept.
class WEFT_API unix_listener : public detail::listener {
 public:
  unix_listener() noexcept = default;
  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;

  // Waits for the next connection. Throws: as tcp_listener::accept().
  unix_stream accept();

  const std::string& path() const;

 private:
  friend struct detail::socket_access;
  using listener::listener;
};

// Connects to who listens there.
// Parks: while the listener's backlog is full.
// Throws: io_error, std::errc::connection_refused if there is only a file left that nobody listens
// at, std::errc::no_such_file_or_directory if there is none.
WEFT_API unix_stream connect_unix(const std::string& path);

// Listens there. A socket file that a dead process has left is replaced; if somebody listens there,
// or it is another kind of file, that is std::errc::address_in_use.
WEFT_API unix_listener listen_unix(const std::string& path, const unix_listen_options& how = {});

// Two ends of one connection that has no path.
WEFT_API std::pair<unix_stream, unix_stream> make_unix_pair();

}  // namespace weft
