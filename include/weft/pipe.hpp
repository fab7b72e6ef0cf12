// Pipes: what is written to one end comes out of the other.
//
//   auto [reader, writer] = weft::make_pipe();
//   auto sender = weft::go([w = std::move(writer)]() mutable { w.write("hello"); });
//   std::cout << weft::read_all(reader) << '\n';  // until the writer has been destroyed
#pragma once

#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

// The end to read from. A stream without write.
class WEFT_API pipe_reader : private stream {
 public:
  pipe_reader() noexcept = default;

  using stream::close;
  using stream::fd;
  using stream::read;
  using stream::operator bool;

 private:
  friend struct detail::socket_access;
  using stream::stream;
};

// The end to write to. A stream without read. Closing it is the reader's end of the stream; once
// the reader is closed, writing is an io_error, std::errc::broken_pipe.
class WEFT_API pipe_writer : private stream {
 public:
  pipe_writer() noexcept = default;

  using stream::close;
  using stream::fd;
  using stream::write;
  using stream::writev;
  using stream::operator bool;

 private:
  friend struct detail::socket_access;
  using stream::stream;
};

struct pipe_ends {
  pipe_reader reader;
  pipe_writer writer;
};

// Makes a pipe. Child processes do not inherit it.   Never parks.
// Throws: io_error, std::errc::too_many_files_open; std::logic_error outside a fiber.
WEFT_API pipe_ends make_pipe();

}  // namespace weft
