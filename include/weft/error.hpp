// What weft throws.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

#include <weft/detail/config.hpp>

namespace weft {

// A failed operation of the system: the text names the operation and the path or address, the code
// compares with std::errc.
class WEFT_API io_error : public std::system_error {
 public:
  io_error(std::error_code code, const std::string& what);
  ~io_error() override;
};

// The stream ended before the bytes that were asked for had come.
class WEFT_API eof_error : public std::runtime_error {
 public:
  explicit eof_error(const std::string& what);
  ~eof_error() override;
};

// A deadline passed; its code equals std::errc::timed_out.
class WEFT_API timed_out : public std::system_error {
 public:
  timed_out();
  ~timed_out() override;
  const char* what() const noexcept override;
};

// Thrown by send() on a channel that is closed, or that is closed while it waits.
class WEFT_API channel_closed : public std::runtime_error {
 public:
  channel_closed();
  ~channel_closed() override;
};

// Thrown by join() when the fiber was ended by cancellation and so has no result.
class WEFT_API fiber_cancelled : public std::exception {
 public:
  ~fiber_cancelled() override;
  const char* what() const noexcept override;
};

// Thrown by a parking call in a cancelled scope. Not a std::exception, so that the usual
// catch (const std::exception&) around a task does not swallow the request to stop.
class WEFT_API cancelled {
 public:
  const char* what() const noexcept;
};

}  // namespace weft
