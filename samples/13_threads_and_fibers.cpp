// A program with threads of its own uses fibers for a part of its work. Threads start fibers and
// join them; promises and futures go between both, whoever waits.
#include <weft/weft.hpp>

#include <iostream>
#include <thread>
#include <utility>
#include <vector>

namespace {

// A fiber that answers one question of a thread, and asks one back.
int answer(int number, weft::future<int> factor) {
  return number * factor.get();  // parks: its worker goes on with other fibers
}

// A thread that was here before weft came.
int old_thread(weft::runtime& fibers, int number) {
  weft::promise<int> factor;
  weft::fiber<int> working = fibers.go(answer, number, factor.get_future());
  factor.set_value(10);
  return working.join();  // blocks: this is a plain thread
}

}  // namespace

int main() {
  weft::runtime fibers;

  std::vector<int> results(4);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&, i] { results[static_cast<std::size_t>(i)] = old_thread(fibers, i + 1); });
  for (auto& each : threads) each.join();
  for (const int each : results) std::cout << each << ' ';
  std::cout << '\n';

  // Many fibers and a thread wait for the same start.
  weft::promise<void> start;
  const weft::shared_future<void> started = start.get_future();
  std::vector<weft::fiber<int>> runners;
  for (int i = 0; i < 1000; ++i)
    runners.push_back(fibers.go([started] {
      started.get();
      return 1;
    }));
  std::thread spectator([started] {
    started.get();
    std::cout << "They are off!\n";
  });
  start.set_value();
  spectator.join();
  int arrived = 0;
  for (auto& each : runners) arrived += each.join();
  std::cout << arrived << " fibers arrived.\n";
}
