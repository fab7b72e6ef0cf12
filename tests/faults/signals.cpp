// Signals, and the fault handlers of the program.
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "program.hpp"

namespace faults {
namespace {

std::atomic<std::size_t> handled{0};

// Some work, so that the frame of a handler is no empty one.
void count_signal(int) noexcept {
  volatile char frame[256];
  for (std::size_t i = 0; i < sizeof frame; ++i) frame[i] = static_cast<char>(i);
  handled.fetch_add(1, std::memory_order_relaxed);
}

void write_nowhere() {
  char* volatile nowhere = reinterpret_cast<char*>(0x10);
  *nowhere = 1;
}

}  // namespace

// signals [STACK_BYTES]: an echo server that counts SIGRTMIN, until SIGTERM lets it finish
int storm_of_signals(const arguments& given) {
  struct sigaction how {};
  how.sa_handler = count_signal;
  how.sa_flags = SA_RESTART;
  sigaction(SIGRTMIN, &how, nullptr);
  const stop_signal stop;
  weft::options options;
  options.workers = 2;
  options.stack_bytes = given.number(0, 16 * 1024);
  weft::run(options, [&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    say("port", listener.port());
    std::atomic<std::size_t> open{0};
    std::atomic<std::size_t> whole{0};
    auto server = weft::go([&] {
      weft::serve(listener, [&](weft::tcp_stream client) {
        ++open;
        char bytes[1024];
        while (const std::size_t n = client.read(bytes, sizeof bytes)) client.write(bytes, n);
        client.shutdown_write();
        ++whole;
        --open;
      });
    });
    stop.wait();
    say("stopping", open.load());
    server.cancel();
    server.wait();
    say("whole", whole.load());
    say("unfinished", open.load());
  });
  say("handled", handled.load());
  return 0;
}

// null-write fiber|thread|worker [siginfo|plain]: with a handler from before the first runtime
int null_write(const arguments& given) {
  struct sigaction mine {};
  mine.sa_flags = SA_ONSTACK;
  if (given.text(1, "siginfo") == "siginfo") {
    mine.sa_flags |= SA_SIGINFO;
    mine.sa_sigaction = [](int number, siginfo_t* info, void* where) {
      const bool same =
          number == SIGSEGV && where != nullptr && info->si_addr == reinterpret_cast<void*>(0x10);
      _exit(same ? 42 : 43);
    };
  } else {
    mine.sa_handler = [](int number) { _exit(number == SIGSEGV ? 42 : 43); };
  }
  sigaction(SIGSEGV, &mine, nullptr);
  const std::string where = given.text(0, "fiber");
  weft::run([&] {
    if (where == "fiber") weft::go(write_nowhere).join();
    if (where == "worker") weft::blocking(write_nowhere);
    if (where == "thread") std::thread(write_nowhere).join();
  });
  return 0;
}

// reset: the peer resets the connection during a write of 10 MB. SIGPIPE is back to its default
// once the runtime runs, so a signal would end the process.
int reset_while_writing(const arguments&) {
  weft::run([] {
    signal(SIGPIPE, SIG_DFL);
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto client = weft::connect_tcp("127.0.0.1", listener.port());
    auto server = listener.accept();
    auto writing = weft::go([&] {
      try {
        client.write(std::string(10'000'000, 'x'));
        return std::string("all was written");
      } catch (const weft::io_error& error) {
        const bool reset =
            error.code() == std::errc::connection_reset || error.code() == std::errc::broken_pipe;
        return reset ? std::string("reset") : std::string(error.what());
      }
    });
    char some[1000];
    weft::read_exactly(server, some, sizeof some);
    const linger at_once{1, 0};
    ::setsockopt(server.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    server.close();
    say("write", writing.join());
    try {
      client.write("once more");
      say("again", "written");
    } catch (const weft::io_error& error) {
      say("again", error.code() == std::errc::broken_pipe ? "broken_pipe" : error.what());
    }
  });
  return 0;
}

}  // namespace faults
