// Children that end with their scope: one fails, the others are cancelled, and when wait() throws
// none is left. They may use the parent's locals, for the parent outlives them.
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

int main() {
  weft::run([] {
    std::vector<std::string> log(3);
    try {
      weft::group suppliers;
      suppliers.go([&log] {
        weft::sleep(10ms);
        log[0] = "flour came";
      });
      suppliers.go([&log] {
        weft::sleep(30ms);
        log[1] = "no eggs today";
        throw std::runtime_error("the egg supplier is closed");
      });
      suppliers.go([&log] {
        try {
          weft::sleep(1h);
        } catch (const weft::cancelled&) {
          log[2] = "the order of milk was called off";
          throw;
        }
      });
      suppliers.wait();
    } catch (const std::exception& error) {
      std::cout << "No cake: " << error.what() << ".\n";
    }
    for (const std::string& line : log) std::cout << "- " << line << '\n';
  });
}
