// What the templates of stream.hpp throw.
#include <weft/stream.hpp>

namespace weft::detail {

void throw_early_end(std::size_t got, std::size_t wanted) {
  throw eof_error("weft: the stream ended after " + std::to_string(got) + " of " +
                  std::to_string(wanted) + " bytes");
}

void throw_too_long(const char* operation, std::size_t limit) {
  throw io_error(std::make_error_code(std::errc::message_size),
                 std::string(operation) + ": more than " + std::to_string(limit) + " bytes");
}

}  // namespace weft::detail
