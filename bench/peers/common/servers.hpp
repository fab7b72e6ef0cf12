// Servers whose threads share nothing but their port.
#pragma once
#include <thread>
#include <vector>

#include "program.hpp"
#include "sockets.hpp"

namespace peer {

// Calls serve(port), which does not return, on so many threads as w= says.
template <class F>
int serve_on_threads(const arguments& given, const F& serve) {
  const long port = given.number("port", 0);
  std::vector<std::thread> others;
  for (long i = 1; i < given.number("w", 1); ++i) others.emplace_back(serve, port);
  serve(port);
  return ok;
}

}  // namespace peer
