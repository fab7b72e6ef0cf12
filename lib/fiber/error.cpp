// The exceptions of error.hpp. Their destructors stand here so that each has one home.
#include <weft/error.hpp>

namespace weft {

io_error::io_error(std::error_code code, const std::string& what) : std::system_error(code, what) {}
io_error::~io_error() = default;

eof_error::eof_error(const std::string& what) : std::runtime_error(what) {}
eof_error::~eof_error() = default;

timed_out::timed_out() : std::system_error(std::make_error_code(std::errc::timed_out)) {}
timed_out::~timed_out() = default;
// The code's own message speaks of a connection.
const char* timed_out::what() const noexcept { return "weft: deadline passed"; }

channel_closed::channel_closed()
    : std::runtime_error("weft: the channel is closed, and nothing can be sent on it any more") {}
channel_closed::~channel_closed() = default;

fiber_cancelled::~fiber_cancelled() = default;
const char* fiber_cancelled::what() const noexcept { return "weft: the fiber was cancelled"; }

const char* cancelled::what() const noexcept { return "weft: cancelled"; }

}  // namespace weft
