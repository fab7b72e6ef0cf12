// Lets the kernel copy a part of a file to a connection.
#pragma once
#include <sys/sendfile.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <weft/weft.hpp>

#include "http/content.hpp"

namespace web {

// 10 MB cost a third of the CPU time of reading and writing them; 1 kB costs more, for it needs a
// call, a packet and a thread of its own.
inline bool is_worth_sendfile(const content::value_type& what) {
  return what.file.get() >= 0 && what.file_bytes >= 256 * 1024;
}

// A thread of the pool makes the call, since it waits for the disk. False if the client is gone, or
// the file shorter than it was. Throws: timed_out if the client takes nothing for so long.
inline bool send_file(weft::tcp_stream& client, const content::value_type& what,
                      std::chrono::milliseconds patience) {
  constexpr std::uint64_t piece_bytes = 1024 * 1024;
  for (std::uint64_t left = what.file_bytes; left > 0;) {
    const ssize_t n = weft::blocking([&] {
      const auto most = static_cast<std::size_t>(std::min(left, piece_bytes));
      const ssize_t sent = ::sendfile(client.fd(), what.file.get(), nullptr, most);
      return sent < 0 ? -errno : sent;
    });
    if (n == -EAGAIN) {
      weft::with_timeout(patience, [&] { weft::wait_writable(client.fd()); });
    } else if (n <= 0) {
      return false;
    } else {
      left -= static_cast<std::uint64_t>(n);
    }
  }
  return true;
}

}  // namespace web
