// Descriptors that the program owns.
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "io/socket_support.hpp"

using weft_test::descriptors;
using weft_test::failure_of;
using weft_test::is_pattern;
using weft_test::outcome;
using weft_test::pattern;
using weft_test::until_parked;
using namespace std::chrono_literals;

namespace {

using Fd = weft_test::fiber_fixture;
FIBER_SUITE(Fd);

std::string read_some(int fd, std::size_t most = 1000) {
  std::string bytes(most, '\0');
  bytes.resize(weft::read(fd, bytes));
  return bytes;
}

// ---- reading and writing

TEST_P(Fd, ReadWaitsForThePipe) {
  inside([] {
    auto pipe = descriptors::pipe();
    auto reader = weft::go([&] { return read_some(pipe[0]); });
    until_parked(1);
    weft::write(pipe[1], "hello");
    EXPECT_EQ(reader.join(), "hello");
    pipe.close(1);
    EXPECT_EQ(read_some(pipe[0]), "");
  });
}

TEST_P(Fd, ReadWaitsForTheSocket) {
  inside([] {
    auto pair = descriptors::socket_pair();
    auto reader = weft::go([&] { return read_some(pair[0]); });
    until_parked(1);
    weft::write(pair[1], std::string("hello"));
    EXPECT_EQ(reader.join(), "hello");
    pair.close(1);
    EXPECT_EQ(read_some(pair[0]), "");
  });
}

void send_a_megabyte(const descriptors& ends) {
  constexpr std::size_t size = 1 << 20;
  auto writer = weft::go([&] { weft::write(ends[1], pattern(0, size)); });
  std::size_t got = 0;
  while (got < size) {
    const std::string bytes = read_some(ends[0], 3000);
    ASSERT_TRUE(is_pattern(bytes.data(), got, bytes.size())) << "at " << got;
    got += bytes.size();
  }
  writer.join();
}

TEST_P(Fd, WriteWaitsForRoomInABlockingPipe) {
  inside([] { send_a_megabyte(descriptors::pipe()); });
}

TEST_P(Fd, WriteWaitsForRoomInABlockingSocket) {
  inside([] { send_a_megabyte(descriptors::socket_pair()); });
}

TEST_P(Fd, FlagsOfTheOpenFileStayAsTheyAre) {
  inside([] {
    auto pipe = descriptors::pipe();
    auto reader = weft::go([&] { return read_some(pipe[0]); });
    until_parked(1);
    EXPECT_EQ(fcntl(pipe[0], F_GETFL) & O_NONBLOCK, 0) << "while a fiber waits";
    weft::write(pipe[1], "x");
    reader.join();
    EXPECT_EQ(fcntl(pipe[0], F_GETFL) & O_NONBLOCK, 0);
  });
}

TEST_P(Fd, NonblockingDescriptorsDoAsWell) {
  inside([] {
    auto pipe = descriptors::pipe();
    fcntl(pipe[0], F_SETFL, O_NONBLOCK);
    fcntl(pipe[1], F_SETFL, O_NONBLOCK);
    send_a_megabyte(pipe);
  });
}

TEST_P(Fd, ZeroBytesNeedNoWait) {
  inside([] {
    auto pipe = descriptors::pipe();
    EXPECT_EQ(weft::read(pipe[0], nullptr, 0), 0u);
    weft::write(pipe[1], nullptr, 0);
  });
}

TEST_P(Fd, ReaderAndWriterWaitOnOneDescriptor) {
  inside([] {
    auto pair = descriptors::socket_pair();
    const std::string much = pattern(0, 1 << 20);
    auto reader = weft::go([&] { return read_some(pair[0]); });
    auto writer = weft::go([&] { weft::write(pair[0], much); });
    until_parked(2);
    weft::write(pair[1], "hello");
    EXPECT_EQ(reader.join(), "hello");
    std::string got;
    while (got.size() < much.size()) got += read_some(pair[1], 100'000);
    EXPECT_TRUE(got == much);
    writer.join();
  });
}

TEST_P(Fd, SeveralReadersShareAPipe) {
  inside([] {
    constexpr int readers = 20;
    auto pipe = descriptors::pipe();
    std::atomic<int> sum{0};
    weft::group all;
    for (int i = 0; i < readers; ++i)
      all.go([&] { sum += static_cast<unsigned char>(read_some(pipe[0], 1).at(0)); });
    until_parked(readers);
    for (int i = 1; i <= readers; ++i) {
      const char one = static_cast<char>(i);
      weft::write(pipe[1], &one, 1);
    }
    all.wait();
    EXPECT_EQ(sum, readers * (readers + 1) / 2);
  });
}

// ---- other kinds of descriptors

TEST_P(Fd, RegularFilesAreReadAndWrittenInPlace) {
  inside([] {
    std::string name = "/tmp/weft-fd-test-XXXXXX";
    const int fd = mkstemp(name.data());
    ASSERT_GE(fd, 0);
    unlink(name.c_str());
    const std::string all = pattern(0, 700'000);
    weft::write(fd, all);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 700'000);
    EXPECT_EQ(read_some(fd), "") << "at the end";
    lseek(fd, 5, SEEK_SET);
    weft::wait_readable(fd);
    weft::wait_writable(fd);
    std::string got;
    for (std::string more; !(more = read_some(fd, 600'000)).empty();) got += more;
    EXPECT_TRUE(got == all.substr(5));
    ::close(fd);
  });
}

TEST_P(Fd, FilesWithoutContentsInMemoryAreRead) {
  inside([] {
    const int fd = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    EXPECT_NE(read_some(fd).find("Name:"), std::string::npos);
    ::close(fd);
  });
}

TEST_P(Fd, DevicesAreReadAndWritten) {
  inside([] {
    const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT_EQ(read_some(zero), std::string(1000, '\0'));
    EXPECT_EQ(read_some(null), "");
    weft::write(null, "gone");
    ::close(zero);
    ::close(null);
  });
}

TEST_P(Fd, EventAndTimerDescriptorsWakeWhoWaits) {
  inside([] {
    const int event = eventfd(0, EFD_CLOEXEC);
    auto waiter = weft::go([&] {
      weft::wait_readable(event);
      std::uint64_t count = 0;
      weft::read(event, &count, sizeof count);
      return count;
    });
    until_parked(1);
    const std::uint64_t five = 5;
    weft::write(event, &five, sizeof five);
    EXPECT_EQ(waiter.join(), 5u);
    ::close(event);

    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    itimerspec soon{};
    soon.it_value.tv_nsec = 1'000'000;
    timerfd_settime(timer, 0, &soon, nullptr);
    std::uint64_t expirations = 0;
    EXPECT_EQ(weft::read(timer, &expirations, sizeof expirations), sizeof expirations);
    EXPECT_EQ(expirations, 1u);
    ::close(timer);
  });
}

TEST_P(Fd, TerminalsNeverBlockTheThread) {
  inside([] {
    int screen = -1;
    int program = -1;
    ASSERT_EQ(openpty(&screen, &program, nullptr, nullptr, nullptr), 0);
    auto reader = weft::go([&] { return read_some(program); });
    until_parked(1);
    weft::write(screen, "a line\n");
    EXPECT_EQ(reader.join(), "a line\n");
    EXPECT_EQ(read_some(screen), "a line\r\n") << "the echo";

    // More than the terminal has room for, read by a fiber that may be on the same thread.
    constexpr std::size_t lines = 30'000;
    auto writer = weft::go([&] {
      std::string text;
      for (std::size_t i = 0; i < lines; ++i) text += "0123456789\n";
      weft::write(program, text);
    });
    std::size_t got = 0;
    while (got < lines * 12) got += read_some(screen, 4096).size();  // "\n" becomes "\r\n"
    EXPECT_EQ(got, lines * 12);
    writer.join();
    ::close(program);
    ::close(screen);
  });
}

// Nobody makes room. Neither the thread nor a thread of the pool may be held by that.
TEST_P(Fd, WritersToAFullTerminalOrFifoCanBeStopped) {
  const std::string text(1'000'000, '\n');
  const auto fill = [&](int fd) {
    std::vector<weft::fiber<void>> writers;
    for (int i = 0; i < 6; ++i) writers.push_back(weft::go([&, fd] { weft::write(fd, text); }));
    weft::sleep(5ms);
    for (auto& each : writers) each.cancel();
    for (auto& each : writers) EXPECT_THROW(each.join(), weft::fiber_cancelled);
  };
  inside([&] {
    int screen = -1;
    int program = -1;
    ASSERT_EQ(openpty(&screen, &program, nullptr, nullptr, nullptr), 0);
    fill(program);
    ::close(program);
    ::close(screen);
    const std::string directory = weft::make_temp_directory();
    const std::string path = directory + "/fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int fifo = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    fill(fifo);
    ::close(fifo);
    weft::remove_all(directory);
  });
}

// They are the process's, and gone as soon as it closes any descriptor of the file.
TEST_P(Fd, RecordLocksAndPacketsOfAFifoStay) {
  inside([&] {
    const std::string directory = weft::make_temp_directory();
    const std::string path = directory + "/fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int fifo = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock all {};
    all.l_type = F_WRLCK;
    all.l_whence = SEEK_SET;
    ASSERT_EQ(::fcntl(fifo, F_SETLK, &all), 0);
    weft::write(fifo, "abc");
    EXPECT_EQ(read_some(fifo), "abc");
    struct flock found {};
    found.l_type = F_WRLCK;
    found.l_whence = SEEK_SET;
    ASSERT_EQ(::fcntl(fifo, F_OFD_GETLK, &found), 0);
    EXPECT_EQ(found.l_pid, ::getpid());
    all.l_type = F_UNLCK;
    ::fcntl(fifo, F_SETLK, &all);

    ASSERT_EQ(::fcntl(fifo, F_SETFL, O_DIRECT), 0);
    weft::write(fifo, "abc");
    weft::write(fifo, "def");
    EXPECT_EQ(read_some(fifo), "abc");
    EXPECT_EQ(read_some(fifo), "def");
    ::close(fifo);
    weft::remove_all(directory);
  });
}

// Both see that there is something to read; one of them finds nothing any more.
TEST_P(Fd, ReadersOfOneTerminalDoNotBlockEachOther) {
  inside([&] {
    int screen = -1;
    int program = -1;
    ASSERT_EQ(openpty(&screen, &program, nullptr, nullptr, nullptr), 0);
    std::vector<weft::fiber<std::string>> readers;
    for (int i = 0; i < 4; ++i) readers.push_back(weft::go([=] { return read_some(program); }));
    until_parked(4);
    for (int i = 0; i < 4; ++i) {
      weft::write(screen, "a line\n");
      weft::sleep(1ms);
    }
    for (auto& each : readers) EXPECT_EQ(each.join(), "a line\n");
    ::close(program);
    ::close(screen);
  });
}

// ---- the program closes what it owns

TEST_P(Fd, NumbersMayBeReusedBetweenCalls) {
  inside([] {
    for (int round = 0; round < 200; ++round) {
      auto pipe = descriptors::pipe();
      auto reader = weft::go([&] { return read_some(pipe[0]); });
      if (round % 2 == 0) until_parked(1);
      weft::write(pipe[1], "abc");
      EXPECT_EQ(reader.join(), "abc");
      EXPECT_NE(failure_of([] { weft::read(-1, nullptr, 1); }), std::error_condition());
    }
  });
}

// ---- errors

TEST_P(Fd, ErrorsNameOperationAndDescriptor) {
  inside([] {
    EXPECT_EQ(outcome([] { weft::wait_readable(9999); }),
              "cannot wait for descriptor 9999: Bad file descriptor");
    EXPECT_EQ(outcome([] { read_some(9999); }),
              "cannot read from descriptor 9999: Bad file descriptor");
    EXPECT_EQ(outcome([] { weft::write(9999, "text"); }),
              "cannot write to descriptor 9999 after 0 of 4 bytes: Bad file descriptor");
    EXPECT_EQ(failure_of([] { weft::wait_writable(-1); }), std::errc::bad_file_descriptor);
  });
}

TEST_P(Fd, AReaderThatIsGoneIsAnErrorNotASignal) {
  inside([] {
    auto pipe = descriptors::pipe();
    pipe.close(0);
    EXPECT_EQ(failure_of([&] { weft::write(pipe[1], "x"); }), std::errc::broken_pipe);
    auto pair = descriptors::socket_pair();
    pair.close(0);
    const auto before = signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(failure_of([&] { weft::write(pair[1], "x"); }), std::errc::broken_pipe);
    signal(SIGPIPE, before);
  });
}

TEST_P(Fd, WriteThatWaitsLearnsThatTheReaderIsGone) {
  inside([] {
    auto pipe = descriptors::pipe();
    auto writer = weft::go(
        [&] { return failure_of([&] { weft::write(pipe[1], std::string(1 << 20, 'x')); }); });
    until_parked(1);
    pipe.close(0);
    EXPECT_EQ(writer.join(), std::errc::broken_pipe);
  });
}

TEST(FdOutsideAFiber, IsALogicError) {
  char byte = 0;
  EXPECT_THROW(weft::read(0, &byte, 1), std::logic_error);
  EXPECT_THROW(weft::write(1, &byte, 1), std::logic_error);
  EXPECT_THROW(weft::wait_readable(0), std::logic_error);
  EXPECT_THROW(weft::wait_writable(1), std::logic_error);
}

TEST_P(Fd, SignalsInterruptNothing) {
  struct sigaction quiet {};
  struct sigaction before {};
  quiet.sa_handler = [](int) {};  // without SA_RESTART
  sigaction(SIGUSR1, &quiet, &before);
  inside([] {
    std::atomic<bool> over{false};
    const pthread_t target = pthread_self();
    std::thread shooter([&] {
      while (!over) {
        pthread_kill(target, SIGUSR1);
        std::this_thread::sleep_for(50us);
      }
    });
    send_a_megabyte(descriptors::pipe());
    send_a_megabyte(descriptors::socket_pair());
    over = true;
    shooter.join();
  });
  sigaction(SIGUSR1, &before, nullptr);
}

// ---- cancellation

TEST_P(Fd, CancellingWakesWhoWaits) {
  inside([] {
    auto pair = descriptors::socket_pair();
    std::vector<weft::fiber<std::string>> waiters;
    waiters.push_back(weft::go([&] { return outcome([&] { read_some(pair[0]); }); }));
    waiters.push_back(weft::go([&] { return outcome([&] { weft::wait_readable(pair[0]); }); }));
    waiters.push_back(weft::go(
        [&] { return outcome([&] { weft::write(pair[1], std::string(1 << 22, 'x')); }); }));
    auto other = descriptors::socket_pair();
    waiters.push_back(weft::go([&] { return outcome([&] { read_some(other[0]); }); }));
    until_parked(2);
    for (auto& each : waiters) each.cancel();
    const std::string first = outcome(waiters[0]);
    const std::string second = outcome(waiters[1]);
    EXPECT_TRUE(first == "done" || first == "cancelled") << first << ": data may have come";
    EXPECT_TRUE(second == "done" || second == "cancelled") << second;
    EXPECT_EQ(outcome(waiters[2]), "cancelled");
    EXPECT_EQ(outcome(waiters[3]), "cancelled");
  });
}

TEST_P(Fd, ATimeoutLosesNoBytes) {
  inside([] {
    auto pair = descriptors::socket_pair();
    EXPECT_THROW(weft::with_timeout(1ms, [&] { read_some(pair[0]); }), weft::timed_out);
    weft::write(pair[1], "still there");
    EXPECT_EQ(read_some(pair[0]), "still there");
    EXPECT_EQ(weft::with_timeout(1h,
                                 [&] {
                                   weft::write(pair[1], "x");
                                   return read_some(pair[0]);
                                 }),
              "x");
  });
}

TEST_P(Fd, ACancelledFiberReadsNothing) {
  inside([] {
    auto pair = descriptors::socket_pair();
    weft::write(pair[1], "here");
    auto reader = weft::go([&] { weft::with_timeout(0s, [&] { read_some(pair[0]); }); });
    EXPECT_THROW(reader.join(), weft::timed_out);
    EXPECT_EQ(read_some(pair[0]), "here");
  });
}

// Readers are cancelled while bytes come; every byte is read once, by whom read() gave it to.
void race_cancellation_with_bytes(int rounds, unsigned seed) {
  auto pair = descriptors::socket_pair();
  std::minstd_rand random(seed);
  std::size_t got = 0;
  for (int round = 0; round < rounds; ++round) {
    auto reader = weft::go([&, at = got]() -> std::size_t {
      try {
        const std::string bytes = read_some(pair[0]);
        EXPECT_TRUE(is_pattern(bytes.data(), at, bytes.size())) << "at " << at;
        return bytes.size();
      } catch (const weft::cancelled&) {
        return 0;
      }
    });
    if (random() % 4 != 0) weft::yield();
    const std::string one = pattern(static_cast<std::size_t>(round), 1);
    const bool write_first = random() % 2 == 0;
    if (write_first) weft::write(pair[1], one);
    reader.cancel();
    if (!write_first) weft::write(pair[1], one);
    try {
      got += reader.join();
    } catch (const weft::fiber_cancelled&) {  // before it began
    }
  }
  pair.close(1);
  for (std::string rest; !(rest = read_some(pair[0])).empty(); got += rest.size())
    EXPECT_TRUE(is_pattern(rest.data(), got, rest.size())) << "at " << got;
  EXPECT_EQ(got, static_cast<std::size_t>(rounds));
}

TEST_P(Fd, NoByteIsLostOrDoubledWhenCancellationMeetsCompletion) {
  inside([] {
    weft::group racers;  // several, so that all workers have something to do
    for (unsigned seed = 1; seed <= 8; ++seed)
      racers.go([seed] { race_cancellation_with_bytes(12'500 / weft_test::slowness, seed); });
    racers.wait();
  });
}

// ---- fairness

TEST_P(Fd, AnEndlessSourceDoesNotStarveOthers) {
  inside([] {
    const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    std::atomic<bool> over{false};
    auto busy = weft::go([&] {
      while (!over) read_some(zero, 64);
    });
    weft::sleep(1ms);  // comes back although the reader never waits
    over = true;
    busy.join();
    ::close(zero);
  });
}

}  // namespace
