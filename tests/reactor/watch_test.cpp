// Those who wait, those who close, and runtimes that end, all at once.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
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

// Who waits may tell the loop so only after the closer has told it of the end.
TEST(Watch, OutlivesAWaitThatCloseHasOvertaken) {
  std::atomic<weft::pipe_reader*> to_close{nullptr};
  std::atomic<bool> over{false};
  std::thread closer([&] {
    std::minstd_rand random(1);
    while (!over) {
      weft::pipe_reader* next = to_close.load(std::memory_order_acquire);
      if (next == nullptr) continue;
      for (auto i = random() % 400; i > 0; --i) std::atomic_signal_fence(std::memory_order_seq_cst);
      next->close();
      to_close.store(nullptr, std::memory_order_release);
    }
  });
  weft::run(one_worker(), [&] {
    for (int round = 0; round < 20'000 / weft_test::slowness; ++round) {
      auto pipe = weft::make_pipe();
      auto reader = std::make_unique<weft::pipe_reader>(std::move(pipe.reader));
      to_close.store(reader.get(), std::memory_order_release);
      char byte;
      EXPECT_THROW(reader->read(&byte, 1), weft::io_error);
      while (to_close.load(std::memory_order_acquire) != nullptr) std::this_thread::yield();
      reader.reset();
      weft::yield();
    }
  });
  over = true;
  closer.join();
}

}  // namespace
