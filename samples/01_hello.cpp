// Starts a fiber and joins it for its result, as one does with a thread. Sleeping costs no thread.
#include <chrono>
#include <iostream>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

int main() {
  weft::run([] {
    auto question = weft::go([] {
      weft::sleep(100ms);
      return 6 * 7;
    });
    std::cout << "Hello from the first fiber.\n";
    std::cout << "The second one says " << question.join() << ".\n";
  });
}
