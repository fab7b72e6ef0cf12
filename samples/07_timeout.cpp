// Deadlines around anything that waits, however deep; nested, the earliest wins, and only the scope
// whose deadline passed turns it into timed_out.
#include <chrono>
#include <iostream>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

void cook() {
  struct stove {
    ~stove() { std::cout << "stove off\n"; }
  } on;
  weft::sleep(1h);
}

void dinner() {
  try {
    weft::with_timeout(20ms, cook);
  } catch (const weft::timed_out&) {
    std::cout << "too slow, so salad\n";
  }
  weft::with_timeout(1h, [] { weft::sleep(1h); });  // here it is the outer deadline that passes
  std::cout << "never printed\n";
}

int main() {
  weft::run([] {
    try {
      weft::with_timeout(100ms, dinner);
    } catch (const weft::timed_out&) {
      std::cout << "the guests have left\n";
    }

    // What must be finished can postpone its end.
    auto dishes = weft::go([] {
      weft::shield finish;
      weft::sleep(20ms);
      std::cout << "dishes done\n";
    });
    weft::sleep(5ms);
    dishes.cancel();
    dishes.wait();

    // The first of several; the others are stopped.
    std::cout << weft::race(
                     [] {
                       weft::sleep(1h);
                       return "by post";
                     },
                     [] {
                       weft::sleep(5ms);
                       return "by phone";
                     })
              << '\n';
  });
}
