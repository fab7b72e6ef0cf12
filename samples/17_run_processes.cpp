// Runs other programs: for their output, several at once, with a time limit, and as a conversation.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>
#include <weft/weft.hpp>

using namespace std::chrono_literals;

namespace {

// The words in order, each once.
std::string sorted(const std::string& words) {
  weft::process_options options;
  options.input = words;
  return weft::run_process({"sort", "-u"}, options).out;
}

// A program that answers line by line.
void talk() {
  weft::process cat = weft::spawn_process({"cat"});
  for (const std::string& line : {std::string("How are you?\n"), std::string("I asked first.\n")}) {
    cat.stdin_stream().write(line);
    std::cout << "cat says: " << weft::read_exactly(cat.stdout_stream(), line.size());
  }
  cat.stdin_stream().close();
  std::cout << "cat ended with " << cat.wait() << '\n';
}

}  // namespace

int main() {
  weft::run([] {
    const auto [status, out, err] =
        weft::run_process({"sh", "-c", "echo fine; echo odd >&2; exit 3"});
    std::cout << "status " << status << ", out: " << out << "and err: " << err;

    std::cout << sorted("pear\napple\npear\n");

    // At most four at a time; the answers come in order.
    const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};
    const auto squares = weft::map(numbers, 4, [](int n) {
      return weft::run_process({"expr", std::to_string(n), "*", std::to_string(n)}).out;
    });
    for (const std::string& each : squares) std::cout << each.substr(0, each.size() - 1) << ' ';
    std::cout << '\n';

    talk();

    try {  // what takes too long is killed
      weft::with_timeout(50ms, [] { weft::run_process({"sleep", "1000"}); });
    } catch (const weft::timed_out&) {
      std::cout << "sleep was too slow\n";
    }
    try {
      weft::run_process({"no-such-program"});
    } catch (const weft::io_error& error) {
      std::cout << error.what() << '\n';
    }
  });
}
