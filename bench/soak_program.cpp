// What soak.py runs, in processes of their own.   soak_program COMMAND [NUMBER...]
//   server                          echo, until SIGTERM
//   load PORT CONNECTIONS SECONDS   so many connections that talk all the time; counts what failed
//   churn SECONDS                   connections that come and go, cancellations, time limits,
//                                   files, names; a line every second tells what the process holds
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include <weft/weft.hpp>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

void allow_many_descriptors() {
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  now.rlim_cur = now.rlim_max;
  setrlimit(RLIMIT_NOFILE, &now);
}

unsigned random_below(unsigned limit) {
  static std::atomic<std::uint64_t> state{1};
  std::uint64_t x = state.fetch_add(0x9e3779b97f4a7c15u, std::memory_order_relaxed);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  return static_cast<unsigned>((x ^ (x >> 27)) >> 33) % limit;
}

void echo(weft::tcp_stream client) {
  char bytes[4096];
  while (const std::size_t n = client.read(bytes, sizeof bytes)) client.write(bytes, n);
}

// One question; whether the answer is right.
bool ask(weft::tcp_stream& server, std::size_t number) {
  const std::string question = std::to_string(number) + std::string(number % 200, '.');
  server.write(question);
  return weft::read_exactly(server, question.size()) == question;
}

// ---- many connections

// All that it opens is open by the time that it tells its port: soak.py counts its descriptors.
void run_server() {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  weft::run([&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    weft::serve_options how;
    how.grace = 0s;
    auto server = weft::go([&] { weft::serve(listener, echo, how); });
    auto first = weft::connect_tcp(listener.local_address());
    ask(first, 1);
    first.close();
    std::printf("port %u\n", unsigned{listener.port()});
    std::fflush(stdout);
    weft::blocking([&] { return sigwaitinfo(&ending, nullptr); });
    server.cancel();
    server.wait();
  });
}

void run_load(std::uint16_t port, std::size_t connections, std::chrono::seconds span) {
  std::atomic<std::uint64_t> answers{0}, wrong{0}, failed{0}, open{0};
  weft::run([&] {
    weft::counting_semaphore<> connecting(64);
    std::atomic<bool> over{false};
    weft::group all;
    for (std::size_t i = 0; i < connections; ++i)
      all.go([&, i] {
        try {
          connecting.acquire();
          auto server = weft::connect_tcp(weft::address("127.0.0.1", port));
          connecting.release();
          ++open;
          for (std::size_t n = i; !over; ++n) {
            ++(ask(server, n) ? answers : wrong);
            weft::sleep(std::chrono::milliseconds(random_below(1000)));
          }
        } catch (const std::exception& error) {
          if (failed++ == 0) std::fprintf(stderr, "first failure: %s\n", error.what());
        }
      });
    while (open + failed < connections) weft::sleep(10ms);
    std::printf("connected %llu\n", static_cast<unsigned long long>(open));
    std::fflush(stdout);
    weft::sleep(span);
    over = true;
    all.wait();
  });
  const auto number = [](const auto& of) { return static_cast<unsigned long long>(of); };
  std::printf("answers %llu\nwrong %llu\nfailed %llu\n", number(answers), number(wrong),
              number(failed));
}

// ---- churn

struct tally {
  std::atomic<std::uint64_t> whole{0};      // did what they were to do
  std::atomic<std::uint64_t> stopped{0};    // by a cancellation or a time limit
  std::atomic<std::uint64_t> surprised{0};  // anything else
  std::atomic<std::int64_t> latest_ms{0};   // how late a ticker was
};

void one_visit(const weft::address& where, const std::string& file) {
  auto server = weft::connect_tcp(where);
  for (unsigned n = random_below(10); n > 0; --n) {
    if (!ask(server, n)) throw std::runtime_error("a wrong answer");
    switch (random_below(4)) {
      case 0:
        weft::sleep(std::chrono::microseconds(random_below(3000)));
        break;
      case 1:
        if (weft::read_file(file).size() != 100'000) throw std::runtime_error("a wrong file");
        break;
      case 2:
        if (weft::resolve("localhost").empty()) throw std::runtime_error("no address");
        break;
      default:
        weft::yield();
    }
  }
}

void visitor(const weft::address& where, const std::string& file, tally& seen) {
  try {
    if (random_below(3) == 0)
      weft::with_timeout(std::chrono::microseconds(random_below(5000)),
                         [&] { one_visit(where, file); });
    else
      one_visit(where, file);
    ++seen.whole;
  } catch (const weft::cancelled&) {
    ++seen.stopped;
    throw;
  } catch (const weft::timed_out&) {
    ++seen.stopped;
  } catch (const std::exception& error) {
    if (seen.surprised++ == 0) std::fprintf(stderr, "first surprise: %s\n", error.what());
  }
}

std::size_t descriptors() {
  std::size_t count = 0;
  std::error_code ignored;
  for (auto at = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       at != std::filesystem::directory_iterator(); at.increment(ignored))
    ++count;
  return count;
}

long resident_kb() {
  long pages = 0;
  long ignored = 0;
  std::ifstream("/proc/self/statm") >> ignored >> pages;
  return pages * sysconf(_SC_PAGESIZE) / 1024;
}

void tell(long second, const tally& seen) {
  std::printf(
      "second %ld descriptors %zu rss_kb %ld fibers %llu whole %llu stopped %llu "
      "surprised %llu latest_ms %lld\n",
      second, descriptors(), resident_kb(),
      static_cast<unsigned long long>(weft::runtime::current()->stats().fibers_live),
      static_cast<unsigned long long>(seen.whole), static_cast<unsigned long long>(seen.stopped),
      static_cast<unsigned long long>(seen.surprised), static_cast<long long>(seen.latest_ms));
  std::fflush(stdout);
}

void run_churn(long seconds) {
  const std::string file = "/tmp/weft_soak_" + std::to_string(getpid());
  tally seen;
  weft::run([&] {
    weft::write_file(file, std::string(100'000, 'x'));
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    const weft::address where = listener.local_address();
    weft::serve_options how;
    how.grace = 0s;
    auto server = weft::go([&] { weft::serve(listener, echo, how); });
    auto ticking = weft::go([&] {
      for (;;) {
        const auto due = clock_type::now() + 20ms;
        weft::sleep_until(due);
        const auto late =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - due).count();
        if (late > seen.latest_ms) seen.latest_ms = late;
      }
    });
    std::atomic<bool> over{false};
    weft::group visiting;
    for (int i = 0; i < 50; ++i)
      visiting.go([&] {
        while (!over) {
          auto visit = weft::go([&] { visitor(where, file, seen); });
          if (random_below(3) == 0) {
            weft::sleep(std::chrono::microseconds(random_below(3000)));
            visit.cancel();
          }
          visit.wait();
        }
      });
    for (long second = 0; second < seconds; ++second) {
      weft::sleep(1s);
      tell(second, seen);
    }
    over = true;
    visiting.wait();
    ticking.cancel();
    ticking.wait();
    server.cancel();
    server.wait();
    listener.close();
    weft::sleep(200ms);
    tell(seconds, seen);
    weft::remove(file);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  const auto number = [&](int at) { return at < argc ? std::atol(argv[at]) : 0; };
  allow_many_descriptors();
  if (command == "server")
    run_server();
  else if (command == "load")
    run_load(static_cast<std::uint16_t>(number(2)), static_cast<std::size_t>(number(3)),
             std::chrono::seconds(number(4)));
  else if (command == "churn")
    run_churn(number(2));
  else
    return 2;
  return 0;
}
