// Mistakes of the caller that no exception can report, since a destructor finds them.
#pragma once

namespace weft::detail {

// Prints the sentence and the running fiber, and aborts.
[[noreturn]] void end_program(const char* sentence) noexcept;

}  // namespace weft::detail
