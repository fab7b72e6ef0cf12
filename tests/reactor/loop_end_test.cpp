// A runtime ends while others still use what its loops watch.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>
#include <weft/weft.hpp>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

weft::options one_worker() {
  weft::options how;
  how.workers = 1;
  return how;
}

struct Ends {
  std::vector<weft::pipe_reader> readers;
  std::vector<weft::pipe_writer> writers;
};

// Pipes whose readers a loop of the runtime knows.
Ends watched_pipes(weft::runtime& by, int n) {
  Ends made;
  by.go([&] {
      for (int i = 0; i < n; ++i) {
        auto both = weft::make_pipe();
        char byte;
        EXPECT_THROW(weft::with_timeout(1us, [&] { both.reader.read(&byte, 1); }), weft::timed_out);
        made.readers.push_back(std::move(both.reader));
        made.writers.push_back(std::move(both.writer));
      }
    }).join();
  return made;
}

TEST(LoopEnd, ClosesByAThreadAreCarriedOut) {
  weft::run([] {});  // libuv's first loop leaves a pipe open
  const std::size_t before = weft_test::open_descriptors();
  for (int round = 0; round < 200 / weft_test::slowness; ++round) {
    auto runtime = std::make_unique<weft::runtime>(one_worker());
    Ends pipes = watched_pipes(*runtime, 16);
    std::atomic<bool> ready{false};
    std::thread closer([&] {
      ready = true;
      std::this_thread::sleep_for(round % 40 * 10us);  // the end takes about as long
      for (auto& each : pipes.readers) each.close();
    });
    while (!ready) std::this_thread::yield();
    runtime.reset();
    closer.join();
    pipes.writers.clear();
    ASSERT_EQ(weft_test::open_descriptors(), before) << "in round " << round;
  }
}

TEST(LoopEnd, ReadersInAnotherRuntimeGoOn) {
  weft::runtime other(one_worker());
  for (int round = 0; round < 100 / weft_test::slowness; ++round) {
    auto runtime = std::make_unique<weft::runtime>(one_worker());
    Ends pipes = watched_pipes(*runtime, 8);
    std::vector<weft::fiber<std::size_t>> reads;
    for (auto& each : pipes.readers) {
      reads.push_back(other.go([&each] {
        char byte;
        return each.read(&byte, 1);
      }));
    }
    std::this_thread::sleep_for(round % 40 * 1us);
    runtime.reset();
    other
        .go([&] {
          for (auto& each : pipes.writers) each.write("x", 1);
        })
        .join();
    for (auto& each : reads) EXPECT_EQ(each.join(), 1u);
  }
}

}  // namespace
