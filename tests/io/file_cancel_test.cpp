// Files and cancellation, pipes, and closing under those who read.
#include <weft/file.hpp>

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
using std::chrono::steady_clock;
using weft::open_mode;

class FileCancel : public file_fixture {};
FIBER_SUITE(FileCancel);
class Pipe : public file_fixture {
 protected:
  std::string make_pipe() {
    EXPECT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    return in("pipe");
  }
};
FIBER_SUITE(Pipe);
class FileClose : public file_fixture {};
FIBER_SUITE(FileClose);

// Runs f in a fiber, cancels it after a while, and expects it to end by that, soon.
template <class F>
void expect_cancelled_soon(F&& f) {
  for (const auto delay : {0us, 50us, 2000us}) {
    auto fiber = weft::go(f);
    weft::sleep(delay);
    const auto start = steady_clock::now();
    fiber.cancel();
    EXPECT_THROW(fiber.join(), weft::fiber_cancelled);
    EXPECT_LT(steady_clock::now() - start, 1s * slowness);
  }
}

// ---- pipes

TEST_P(Pipe, WaitsForAWriterAndEndsWithIt) {
  inside([&] {
    const std::string pipe = make_pipe();
    for (int round = 0; round < 5; ++round) {
      const std::string sent = random_bytes(300'000);  // more than fits into a pipe
      auto reader = weft::go([&] { return weft::read_file(pipe); });
      auto writer = weft::go([&] {
        if (round == 4) weft::sleep(5ms);
        weft::file out = weft::open_file(pipe, open_mode::write);
        out.write(sent);
      });
      writer.join();
      EXPECT_TRUE(reader.join() == sent);
    }
  });
}

TEST_P(Pipe, IsWrittenToWhenAReaderHasCome) {
  inside([&] {
    const std::string pipe = make_pipe();
    auto writer = weft::go([&] { weft::write_file(pipe, "through the pipe"); });
    weft::sleep(3ms);
    EXPECT_FALSE(writer.done());
    EXPECT_EQ(weft::read_file(pipe), "through the pipe");
    writer.join();
    auto appender = weft::go([&] { weft::append_file(pipe, "once more"); });
    EXPECT_EQ(weft::read_file(pipe), "once more");
    appender.join();
    EXPECT_EQ(names(), std::vector<std::string>{"pipe"});
  });
}

TEST_P(Pipe, EveryWaitEndsAtOnceWhenCancelled) {
  inside([&] {
    const std::string pipe = make_pipe();
    expect_cancelled_soon([&] { weft::read_file(pipe); });
    expect_cancelled_soon([&] { weft::open_file(pipe, open_mode::write); });
    expect_cancelled_soon([&] { weft::write_file(pipe, "nobody reads"); });
    weft::file both = weft::open_file(pipe, open_mode::read | open_mode::write);
    expect_cancelled_soon([&] {
      char c;
      both.read(&c, 1);
    });
    expect_cancelled_soon([&] { both.write(std::string(1 << 20, 'x')); });
    EXPECT_THROW(weft::with_timeout(3ms, [&] { both.write(std::string(1 << 20, 'x')); }),
                 weft::timed_out);
  });
}

TEST_P(Pipe, HasOneReaderAtATimeAndNoOffsets) {
  inside([&] {
    weft::file both = weft::open_file(make_pipe(), open_mode::read | open_mode::write);
    char c;
    expect_error(std::errc::invalid_seek, [&] { both.read_at(&c, 1, 0); });
    auto waiting = weft::go([&] {
      char mine = 0;
      EXPECT_EQ(both.read(&mine, 1), 1u);
      return mine;
    });
    weft::sleep(3ms);
    both.write("k");
    EXPECT_EQ(waiting.join(), 'k');
  });
}

TEST_P(Pipe, ClosingWakesWhoWaits) {
  inside([&] {
    const std::string pipe = make_pipe();
    const auto closed_under = [&](auto use) {
      weft::file both = weft::open_file(pipe, open_mode::read | open_mode::write);
      auto waiting =
          weft::go([&] { expect_error(std::errc::bad_file_descriptor, [&] { use(both); }); });
      weft::sleep(3ms);
      both.close();
      waiting.join();
    };
    closed_under([](weft::file& both) {
      char c;
      both.read(&c, 1);
    });
    closed_under([](weft::file& both) { both.write(std::string(1 << 20, 'x')); });
  });
}

// ---- the pool

TEST_P(FileCancel, WorkThatHasNotBegunIsDropped) {
  inside([&] {
    weft::write_file(in("a"), "old");
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write);
    const busy_pool blocked;
    expect_cancelled_soon([&] { weft::write_file(in("a"), "new"); });
    expect_cancelled_soon([&] { weft::append_file(in("a"), "more"); });
    expect_cancelled_soon([&] { f.write("new"); });
    expect_cancelled_soon([&] { f.sync(); });
    expect_cancelled_soon([&] { weft::remove(in("a")); });
    expect_cancelled_soon([&] { weft::read_file("/proc/self/status"); });
    expect_cancelled_soon([&] { weft::make_temp_file(in(".")); });
    EXPECT_THROW(weft::with_timeout(3ms, [&] { f.truncate(0); }), weft::timed_out);
    EXPECT_EQ(std::filesystem::file_size(in("a")), 3u);
  });
  inside([&] { EXPECT_EQ(names(), std::vector<std::string>{"a"}); });
}

TEST_P(FileCancel, WorkThatHasBegunIsWaitedForAndItsResultCounts) {
  inside([] {
    weft::event begun;
    weft::event let_go;
    auto fiber = weft::go([&] {
      char buffer[4096];  // the pool writes to this stack, so it must stay
      const int got = weft::detail::in_file_pool("slow", [&] {
        begun.set();
        let_go.wait();
        std::fill(std::begin(buffer), std::end(buffer), 'x');
        return 7;
      });
      EXPECT_EQ(buffer[4095], 'x');
      EXPECT_TRUE(weft::cancel_requested());
      return got;
    });
    begun.wait();
    fiber.cancel();
    EXPECT_FALSE(fiber.wait_for(3ms));
    let_go.set();
    EXPECT_EQ(fiber.join(), 7);
  });
}

TEST_P(FileCancel, AReplacementHappensWholeOrNotAtAll) {
  inside([&] {
    const std::string old(1000, 'o');
    const std::string fresh(8 << 20, 'n');
    weft::write_file(in("a"), old, weft::durable::no);
    int kept = 0;
    for (int i = 0; i < 40 && kept < 20; ++i) {
      auto writer = weft::go([&] { weft::write_file(in("a"), fresh, weft::durable::no); });
      weft::sleep(std::chrono::microseconds(200 * i));
      writer.cancel();
      bool done = true;
      try {
        writer.join();
      } catch (const weft::fiber_cancelled&) {
        done = false;
        ++kept;
      }
      ASSERT_TRUE(weft::read_file(in("a")) == (done ? fresh : old));
      ASSERT_EQ(names(), std::vector<std::string>{"a"});
      if (done) weft::write_file(in("a"), old, weft::durable::no);
    }
    EXPECT_GT(kept, 0);
  });
}

TEST_P(FileCancel, ACancelledFiberCanStillCloseAndCleanUp) {
  inside([&] {
    std::atomic<bool> both_open{false};
    auto fiber = weft::go([&] {
      weft::file written = weft::open_file(in("a"), open_mode::write | open_mode::create);
      written.write("text");
      weft::file dropped = weft::open_file(in("b"), open_mode::write | open_mode::create);
      dropped.write("text");
      both_open = true;
      try {
        weft::sleep(1h);
      } catch (const weft::cancelled&) {
        EXPECT_THROW(written.write("more"), weft::cancelled);
        EXPECT_THROW(written.size(), weft::cancelled);
        EXPECT_THROW(weft::read_file(in("a")), weft::cancelled);
        written.close();
        EXPECT_FALSE(written);
        const weft::shield cleaning_up;
        weft::remove(in("a"));
        throw;
      }
    });
    while (!both_open) weft::sleep(100us);
    fiber.cancel();
    EXPECT_THROW(fiber.join(), weft::fiber_cancelled);
    EXPECT_EQ(names(), std::vector<std::string>{"b"});
  });
}

// ---- closing

TEST_P(FileClose, UnderReadersNeverShowsThemAnotherFile) {
  inside([&] {
    const std::string right(200'000, 'r');
    weft::write_file(in("right"), right);
    weft::write_file(in("wrong"), std::string(200'000, 'w'));
    for (int round = 0; round < 30; ++round) {
      if (round % 3 == 0) drop_from_cache(in("right"));
      weft::file f = weft::open_file(in("right"));
      weft::group fibers_here;
      for (int i = 0; i < 4; ++i)
        fibers_here.go([&] {
          try {
            for (std::size_t at = 0;; at = (at + 5000) % right.size()) {
              std::string part(5000, ' ');
              ASSERT_EQ(f.read_at(part, at), part.size());
              ASSERT_EQ(part.find_first_not_of('r'), std::string::npos);
            }
          } catch (const weft::io_error& error) {
            EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
          }
        });
      if (round % 2 == 0) weft::sleep(100us);
      f.close();
      std::vector<weft::file> others;
      for (int i = 0; i < 6; ++i) others.push_back(weft::open_file(in("wrong")));
      fibers_here.wait();
    }
  });
}

TEST_P(FileClose, APositionIsUsedByOneFiberAtATime) {
  inside([&] {
    weft::write_file(in("a"), "0123456789", weft::durable::no);
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write);
    auto writer = [&] {
      const busy_pool blocked;
      auto first = weft::go([&] { f.write("x"); });
      until_parked(static_cast<std::size_t>(busy_pool::threads()) + 1);
      char c;
      expect_error(std::errc::device_or_resource_busy, [&] { f.read(&c, 1); });
      return first;
    }();
    writer.join();
    char c = 0;
    EXPECT_EQ(f.read(&c, 1), 1u);
    EXPECT_EQ(c, '1');
  });
}

}  // namespace
