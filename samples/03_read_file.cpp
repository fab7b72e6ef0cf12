// Reads a file by one plain call while a ticker goes on, all on a single thread.
#include <atomic>
#include <chrono>
#include <iostream>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  const char* path = argc > 1 ? argv[1] : "/proc/self/exe";
  weft::options options;
  options.workers = 1;
  weft::run(options, [path] {
    std::atomic<int> ticks{0};
    weft::group clock;
    clock.go([&ticks] {
      for (weft::ticker every(1ms);;) {
        every.next();
        ++ticks;
      }
    });

    std::size_t bytes = 0;
    int reads = 0;
    for (; ticks < 5; ++reads) bytes = weft::read_file(path).size();
    std::cout << "Read " << bytes << " bytes, " << reads << " times. The clock ticked " << ticks
              << " times meanwhile.\n";
  });  // the group ends the clock
} catch (const weft::io_error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
