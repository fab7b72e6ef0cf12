// The smallest program that uses the installed library: prints 42.
#include <weft/weft.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

int main() {
  const int answer = weft::run([] {
    auto a = weft::go([] {
      weft::sleep(1ms);
      return 1;
    });
    return a.join() + 41;
  });
  std::printf("%d\n", answer);
}
