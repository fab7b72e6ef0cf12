// What keeps an overflow of one stack from reaching its neighbour: its lowest page.
// Called by stack.cpp, any thread.
//
// (1) MADV_GUARD_INSTALL (Linux 6.13) costs no mapping; where it is missing, mprotect; where that
//     hits vm.max_map_count, a canary that is checked when the stack comes back, and one line on
//     stderr that says so. Never silently nothing.
// (2) One system call advises about many ranges where the kernel lets a process name itself (Linux
//     6.14): a guard then costs half as much.
#pragma once
#include <cstddef>

namespace weft::detail {

std::size_t page_bytes() noexcept;

// Makes the page at base a guard. Returns whether there is only a canary above it.
bool install_guard(char* base) noexcept;

// Ends the process if the canary above the page at base was overwritten.
void check_canary(const char* base) noexcept;

// Gives the same advice about `bytes` at each of the bases. Returns how many of the first have it.
std::size_t advise_each(char* const* bases, std::size_t count, std::size_t bytes,
                        int advice) noexcept;

// The same for guards; none where advice does not make guards.
std::size_t install_guards(char* const* bases, std::size_t count) noexcept;

}  // namespace weft::detail
