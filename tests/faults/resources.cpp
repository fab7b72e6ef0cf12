// Limits: memory for stacks, threads and descriptors at the start, guard pages.
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>

#include "program.hpp"

namespace faults {
namespace {

// So many fibers at once, until the first for which there is no stack. Those that have one end
// well.
struct spawned {
  std::size_t ran = 0;
  std::size_t refused = 0;
  std::size_t surprised = 0;
};

spawned spawn_at_once(std::size_t most, std::size_t batch) {
  spawned out;
  weft::event gate;
  std::atomic<std::size_t> standing{0};
  std::vector<weft::fiber<void>> all;
  while (all.size() < most) {
    try {
      for (std::size_t i = 0; i < batch; ++i)
        all.push_back(weft::go([&] {
          ++standing;
          gate.wait();
        }));
    } catch (const std::bad_alloc&) {
      ++out.refused;
      break;
    }
    std::size_t ended = 0;
    while (standing + ended < all.size()) {  // each stands or has failed
      weft::yield();
      ended = 0;
      for (const auto& each : all) ended += each.done();
    }
    if (ended > 0) break;
  }
  gate.set();
  for (auto& each : all) {
    try {
      each.join();
      ++out.ran;
    } catch (const std::system_error& error) {
      ++(error.code() == std::errc::not_enough_memory ? out.refused : out.surprised);
    } catch (const std::bad_alloc&) {
      ++out.refused;
    }
  }
  out.surprised += out.ran != standing;
  return out;
}

void limit(int which, rlim_t most) {
  rlimit now{};
  getrlimit(static_cast<__rlimit_resource>(which), &now);
  now.rlim_cur = most;
  setrlimit(static_cast<__rlimit_resource>(which), &now);
}

// How a start ended; 0 if well.
int start_code(unsigned workers) {
  weft::options how;
  how.workers = workers;
  try {
    return weft::run(how, [] {
      weft::sleep(100us);
      return weft::go([] { return 0; }).join();
    });
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

}  // namespace

// spawn [MOST]: under a limit of address space
int spawn_until_failure(const arguments& given) {
  weft::options how;
  how.workers = 2;
  weft::run(how, [&] {
    const spawned first = spawn_at_once(given.number(0, 1'000'000), 500);
    say("ran", first.ran);
    say("refused", first.refused);
    say("surprised", first.surprised);
    const spawned again = spawn_at_once(first.ran / 2, first.ran / 2);
    say("ran_again", again.ran);
    say("refused_again", again.refused);
  });
  return 0;
}

// start [ROUNDS] [WORKERS]: starts and ends; the code of each round, 0 if well
int start_often(const arguments& given) {
  const std::size_t rounds = given.number(0, 3);
  constexpr std::size_t of_libuv = 2;  // a pipe, with the first loop, for the life of the process
  const std::size_t descriptors = open_descriptors() + of_libuv;
  const std::size_t threads = threads_after(1);
  std::string codes;
  for (std::size_t i = 0; i < rounds; ++i)
    codes += std::to_string(start_code(static_cast<unsigned>(given.number(1, 3)))) + " ";
  say("codes", codes);
  say("leaked", open_descriptors() - descriptors);
  say("threads", threads_after(threads) - threads);
  return 0;
}

// start-nofile: with room for 0, 1, 2, ... more descriptors, until it starts
int start_with_few_descriptors(const arguments&) {
  constexpr std::size_t of_libuv = 2;
  const std::size_t descriptors = open_descriptors() - 1;
  const std::size_t threads = threads_after(1);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  std::size_t refused = 0;
  std::size_t leaked = 0;
  int code = -1;
  for (rlim_t room = 0; code != 0 && room < 100; ++room) {
    limit(RLIMIT_NOFILE, descriptors + room);
    code = start_code(3);
    limit(RLIMIT_NOFILE, before.rlim_cur);
    refused += code == EMFILE;
    const std::size_t now = open_descriptors() - 1;
    leaked += now == descriptors ? 0 : now - descriptors - of_libuv;
    leaked += threads_after(threads) - threads;
  }
  say("refused", refused);
  say("leaked", leaked);
  say("last", code);
  return 0;
}

// stacks [COUNT] [locked]: so many fibers at once; locked memory takes no MADV_GUARD_INSTALL
int many_stacks(const arguments& given) {
  if (given.text(1, "") == "locked" && mlockall(MCL_FUTURE | MCL_ONFAULT) != 0) return 77;
  weft::options how;
  how.workers = 2;
  how.stack_bytes = 16 * 1024;
  weft::run(how, [&] {
    const spawned all = spawn_at_once(given.number(0, 1000), 500);
    say("ran", all.ran);
    say("refused", all.refused);
    say("surprised", all.surprised);
  });
  return 0;
}

namespace {
__attribute__((noinline)) int dig(volatile char* above) {
  volatile char frame[512];
  frame[0] = above[0];
  return above[0] == 0 ? 0 : dig(frame) + frame[0];  // it is 1 throughout
}
}  // namespace

// overflow [locked]: ends by a report and SIGSEGV
int overflow(const arguments& given) {
  if (given.text(0, "") == "locked" && mlockall(MCL_FUTURE | MCL_ONFAULT) != 0) return 77;
  weft::run([] {
    weft::go(weft::fiber_options{"bottomless", 16 * 1024}, [] {
      volatile char top[1] = {1};
      return dig(top);
    }).join();
  });
  return 0;
}

}  // namespace faults
