// Processes: what goes in, what comes out, how they end; and that nothing of them is left.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/process.hpp>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "io/file_support.hpp"
#include "io/process_child.hpp"
#include "io/socket_support.hpp"

namespace {

using namespace std::chrono_literals;
using weft::process;
using weft::process_options;
using weft::run_process;
using weft::spawn_process;
using weft::stdio;
using weft_test::failure_of;
using weft_test::outcome;
using weft_test::pattern;

class Process : public weft_test::file_fixture {
 protected:
  void TearDown() override {
    weft::detail::reap_detached();
    siginfo_t info{};
    EXPECT_TRUE(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
        << "processes are left";
    weft::detail::child::without_pidfds = false;
    file_fixture::TearDown();
  }
};
FIBER_SUITE(Process);

std::vector<std::string> shell(const std::string& script) { return {"sh", "-c", script}; }

bool is_alive(int pid) { return ::kill(pid, 0) == 0; }

// ---- run_process

TEST_P(Process, RunGivesStatusOutputAndErrors) {
  inside([] {
    auto [status, out, err] = run_process(shell("echo out; echo err >&2; exit 3"));
    EXPECT_EQ(status, 3);
    EXPECT_EQ(out, "out\n");
    EXPECT_EQ(err, "err\n");
    EXPECT_TRUE(status.exited());
    EXPECT_FALSE(status.success());
    EXPECT_EQ(status.code(), 3);
    const auto fine = run_process({"true"});
    EXPECT_EQ(fine.status, 0);
    EXPECT_TRUE(fine.status.success());
    EXPECT_EQ(fine.out + fine.err, "");
  });
}

TEST_P(Process, AStatusTellsTheSignal) {
  inside([] {
    const auto status = run_process(shell("kill -TERM $$")).status;
    EXPECT_FALSE(status.exited());
    EXPECT_TRUE(status.signalled());
    EXPECT_FALSE(status.success());
    EXPECT_EQ(status.signal(), SIGTERM);
    EXPECT_EQ(status.code(), -1);
    EXPECT_EQ(status, 128 + SIGTERM);
  });
}

TEST_P(Process, WithoutInputItsEndComesAtOnce) {
  inside([] { EXPECT_EQ(run_process({"cat"}).out, ""); });
}

TEST_P(Process, TenMegabytesGoBothWays) {
  inside([] {
    process_options options;
    options.input = pattern(0, 10 * 1024 * 1024);
    const auto [status, out, err] = run_process({"cat"}, options);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(out == options.input);
    const auto both = run_process(shell("tee /dev/stderr"), options);
    EXPECT_TRUE(both.out == options.input);
    EXPECT_TRUE(both.err == options.input);
  });
}

TEST_P(Process, InputThatIsNotReadIsNoError) {
  inside([] {
    process_options options;
    options.input = std::string(1024 * 1024, 'x');
    EXPECT_EQ(run_process({"true"}, options).status, 0);
    EXPECT_EQ(run_process(shell("head -c 3"), options).out, "xxx");
  });
}

TEST_P(Process, TooMuchOutputKillsIt) {
  inside([] {
    process_options options;
    options.output_limit = 1000;
    EXPECT_EQ(run_process({"printf", "%01000d", "0"}, options).out.size(), 1000u);
    EXPECT_EQ(failure_of([&] {
                run_process({"printf", "%01001d", "0"}, options);
              }),
              std::errc::message_size);
    EXPECT_EQ(failure_of([&] { run_process({"yes"}, options); }), std::errc::message_size);
    EXPECT_EQ(outcome([&] { run_process(shell("yes >&2"), options); }),
              "sh wrote more than 1000 bytes: Message too long");
  });
}

TEST_P(Process, ATimeoutKillsIt) {
  inside([] {
    EXPECT_THROW(weft::with_timeout(20ms, [] { run_process({"sleep", "1000"}); }), weft::timed_out);
  });
}

// ---- spawn_process

TEST_P(Process, StreamsLeadToAndFromIt) {
  inside([] {
    process cat = spawn_process({"cat"});
    EXPECT_TRUE(cat);
    EXPECT_GT(cat.pid(), 0);
    for (const char* line : {"one\n", "two\n"}) {
      cat.stdin_stream().write(line);
      EXPECT_EQ(weft::read_exactly(cat.stdout_stream(), 4), line);
    }
    cat.stdin_stream().close();
    EXPECT_EQ(weft::read_all(cat.stdout_stream()), "");
    EXPECT_EQ(weft::read_all(cat.stderr_stream()), "");
    EXPECT_EQ(cat.wait(), 0);
  });
}

TEST_P(Process, AllWhoWaitGetTheStatusAlsoAfterwards) {
  inside([] {
    for (const bool without : {false, true}) {
      weft::detail::child::without_pidfds = without;
      process one = spawn_process(shell("read line; exit 7"));
      weft::group all;
      std::atomic<int> sum{0};
      for (int i = 0; i < 20; ++i) all.go([&] { sum += one.wait(); });
      weft::yield();
      one.stdin_stream().close();
      all.wait();
      EXPECT_EQ(sum, 20 * 7);
      EXPECT_EQ(one.wait(), 7);
      EXPECT_EQ(weft::read_all(one.stdout_stream()), "");
    }
  });
}

TEST_P(Process, KillSendsSignals) {
  inside([] {
    for (const bool without : {false, true}) {
      weft::detail::child::without_pidfds = without;
      process one = spawn_process({"sleep", "1000"});
      one.kill(0);
      one.kill();
      EXPECT_EQ(one.wait().signal(), SIGKILL);
      one.kill();
      one.kill(SIGTERM);
      process two =
          spawn_process(shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"));
      EXPECT_EQ(weft::read_exactly(two.stdout_stream(), 6), "ready\n");
      std::thread([&two] { two.kill(SIGTERM); }).join();
      EXPECT_EQ(two.wait(), 5);
      process three = spawn_process({"sleep", "1000"});
      EXPECT_EQ(failure_of([&] { three.kill(1000); }), std::errc::invalid_argument);
      EXPECT_TRUE(is_alive(three.pid()));
    }
  });
}

TEST_P(Process, TheEndOfItsObjectIsItsEnd) {
  inside([] {
    int pid = -1;
    for (const bool without : {false, true}) {
      weft::detail::child::without_pidfds = without;
      {
        process one = spawn_process({"sleep", "1000"});
        pid = one.pid();
        EXPECT_TRUE(is_alive(pid));
      }
      EXPECT_FALSE(is_alive(pid));
      try {
        process one = spawn_process({"sleep", "1000"});
        pid = one.pid();
        throw std::runtime_error("unwinding");
      } catch (const std::runtime_error&) {
      }
      EXPECT_FALSE(is_alive(pid));
      process one = spawn_process({"sleep", "1000"});
      pid = one.pid();
      process two = std::move(one);
      EXPECT_EQ(two.pid(), pid);
      EXPECT_FALSE(one);  // NOLINT: moved from
      two = spawn_process({"true"});
      EXPECT_FALSE(is_alive(pid));
      process& same = two;
      two = std::move(same);
      EXPECT_TRUE(two);
      EXPECT_EQ(two.wait(), 0);
    }
  });
}

TEST_P(Process, AnObjectMayEndOnAThreadOrWithTheRuntime) {
  std::optional<process> outlives;
  inside([&] {
    outlives = spawn_process({"sleep", "1000"});
    weft::go([] {
      process forgotten = spawn_process({"sleep", "1000"});
      forgotten.wait();
    }).detach();
    weft_test::until_parked(1);
  });
  EXPECT_TRUE(is_alive(outlives->pid()));
  EXPECT_THROW(outlives->wait(), std::logic_error);
  const int pid = outlives->pid();
  outlives.reset();
  EXPECT_FALSE(is_alive(pid));
}

TEST_P(Process, GraceLetsItEndByItself) {
  inside([&] {
    const std::string flag = in("flag");
    process_options options;
    options.grace = 60s;
    {
      process gentle =
          spawn_process(shell("trap 'echo gone > " + flag +
                              "; exit 0' TERM; echo ready; while :; do sleep 0.01; done"),
                        options);
      weft::read_exactly(gentle.stdout_stream(), 6);
    }
    EXPECT_EQ(weft::read_file(flag), "gone\n");
    options.grace = 20ms;
    process stubborn =
        spawn_process(shell("trap '' TERM; echo ready; while :; do sleep 0.01; done"), options);
    weft::read_exactly(stubborn.stdout_stream(), 6);
    const int pid = stubborn.pid();
    stubborn = process();
    EXPECT_FALSE(is_alive(pid));
  });
}

TEST_P(Process, AGroupGoesAsAWhole) {
  inside([] {
    process_options options;
    options.new_group = true;
    for (const char* script : {"sleep 1000 & echo $!; wait", "sleep 1000 & echo $!"}) {
      process leader = spawn_process(shell(script), options);
      std::string digits;
      for (char c = 0; c != '\n'; digits += c) leader.stdout_stream().read(&c, 1);
      const int grandchild = std::stoi(digits);
      EXPECT_TRUE(is_alive(grandchild));
      leader = process();
      // Its own parent, or init, reaps it.
      while (is_alive(grandchild) &&
             weft::read_file("/proc/" + std::to_string(grandchild) + "/stat").find(") Z") ==
                 std::string::npos)
        weft::sleep(1ms);
    }
    process whole = spawn_process(shell("sleep 1000 & sleep 1000"), options);
    whole.kill(SIGTERM);
    EXPECT_EQ(whole.wait().signal(), SIGTERM);
    EXPECT_EQ(weft::read_all(whole.stdout_stream()), "");  // nobody holds it any more
  });
}

TEST_P(Process, DetachedItGoesOn) {
  inside([] {
    process one = spawn_process({"sleep", "1000"});
    const int pid = one.pid();
    one.detach();
    one.detach();
    EXPECT_FALSE(one);
    EXPECT_TRUE(is_alive(pid));
    ::kill(pid, SIGKILL);
    while (is_alive(pid)) run_process({"true"});  // each start looks after those
  });
}

TEST_P(Process, CancelledWaitingLeavesItAlone) {
  inside([] {
    for (const bool without : {false, true}) {
      weft::detail::child::without_pidfds = without;
      process one = spawn_process({"cat"});
      EXPECT_THROW(weft::with_timeout(2ms, [&] { one.wait(); }), weft::timed_out);
      EXPECT_TRUE(is_alive(one.pid()));
      one.stdin_stream().close();
      EXPECT_EQ(one.wait(), 0);
    }
  });
}

TEST_P(Process, CancellationAtAnyTimeLeavesNothing) {
  inside([] {
    std::mt19937 random(GetParam());
    process_options options;
    options.input = std::string(200 * 1024, 'x');
    int cancelled = 0;
    for (int i = 0; i < 200; ++i) {
      options.grace = i % 3 == 0 ? 1s : 0s;
      options.new_group = i % 5 == 0;
      auto runner = weft::go([&options, i] {
        return outcome(
            [&] { run_process(i % 2 == 0 ? shell("cat; exit 0") : shell("cat"), options); });
      });
      const auto delay = std::chrono::microseconds(random() % 4000);
      if (i % 4 != 0) weft::sleep(delay);
      runner.cancel();
      const std::string how = outcome(runner);
      EXPECT_TRUE(how == "done" || how == "cancelled") << how;
      cancelled += how == "cancelled" ? 1 : 0;
      siginfo_t info{};
      EXPECT_TRUE(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD);
    }
    EXPECT_GT(cancelled, 0);
  });
}

// ---- what it gets

TEST_P(Process, TheEnvironmentIsInheritedAndChanged) {
  inside([] {
    ::setenv("WEFT_TEST_KEPT", "kept", 1);
    ::setenv("WEFT_TEST_CHANGED", "before", 1);
    ::setenv("WEFT_TEST_GONE", "gone", 1);
    process_options options;
    options.env = {{"WEFT_TEST_CHANGED", "after=all"}, {"WEFT_TEST_NEW", ""}};
    options.env["WEFT_TEST_GONE"] = std::nullopt;
    EXPECT_EQ(run_process(shell("env | grep WEFT_TEST | sort"), options).out,
              "WEFT_TEST_CHANGED=after=all\nWEFT_TEST_KEPT=kept\nWEFT_TEST_NEW=\n");
    options.inherit_env = false;
    options.env = {{"ONLY", "this"}};
    EXPECT_EQ(run_process({"/usr/bin/env"}, options).out, "ONLY=this\n");
    options.env = {};
    EXPECT_EQ(run_process({"/usr/bin/env"}, options).out, "");
  });
}

TEST_P(Process, TheWorkingDirectoryIsAsTold) {
  inside([] {
    process_options options;
    options.cwd = "/";
    EXPECT_EQ(run_process({"pwd"}, options).out, "/\n");
    options.cwd = "/usr";
    EXPECT_EQ(run_process({"./bin/env", "pwd"}, options).out, "/usr\n");
    EXPECT_NE(run_process({"pwd"}).out, "/usr\n");
  });
}

TEST_P(Process, StreamsLeadToFilesAndDescriptors) {
  inside([&] {
    const std::string path = in("file");
    process_options options;
    options.out = stdio::file(path);
    auto got = run_process({"echo", "a long line"}, options);
    EXPECT_EQ(got.out, "");
    options.out = stdio::file(path);
    run_process({"echo", "one"}, options);
    options.out = stdio::append(path);
    run_process({"echo", "two"}, options);
    EXPECT_EQ(weft::read_file(path), "one\ntwo\n");

    process_options input;
    input.in = stdio::file(path);
    EXPECT_EQ(run_process({"cat"}, input).out, "one\ntwo\n");

    auto pipe = weft_test::descriptors::pipe();
    process_options ends;
    ends.out = stdio::descriptor(pipe[1]);
    ends.err = stdio::same_as_out();
    EXPECT_EQ(run_process(shell("echo out; echo err >&2"), ends).err, "");
    pipe.close(1);
    std::string both(64, '\0');
    both.resize(weft::read(pipe[0], both));
    EXPECT_EQ(both, "out\nerr\n");

    process_options merged;
    merged.err = stdio::same_as_out();
    EXPECT_EQ(run_process(shell("echo out; echo err >&2"), merged).out, "out\nerr\n");

    process_options nothing;
    nothing.in = nothing.out = nothing.err = stdio::null();
    process quiet = spawn_process(shell("cat; echo x; echo y >&2"), nothing);
    EXPECT_FALSE(quiet.stdin_stream());
    EXPECT_FALSE(quiet.stdout_stream());
    EXPECT_FALSE(quiet.stderr_stream());
    EXPECT_EQ(failure_of([&] { quiet.stdin_stream().write("x"); }), std::errc::bad_file_descriptor);
    EXPECT_EQ(quiet.wait(), 0);

    process_options same;
    same.in = same.out = same.err = stdio::inherit();
    EXPECT_EQ(spawn_process({"true"}, same).wait(), 0);
  });
}

// Those of the shell; what ls opens is its own.
constexpr const char* list_descriptors = "ls -1 /proc/$$/fd; :";
std::string descriptors_of(const process_options& options) {
  return run_process(shell(list_descriptors), options).out;
}

// F1 of the hazards.
TEST_P(Process, ItHasItsStandardStreamsAlone) {
  inside([] {
    const int careless = ::open("/dev/null", O_RDONLY);  // not close-on-exec
    auto pipe = weft_test::descriptors::pipe();
    auto connections = weft_test::tcp_pair();
    weft::group load;
    for (int i = 0; i < 4; ++i)
      load.go([] {
        for (;;) weft::read_file("/proc/self/stat");
      });
    for (int i = 0; i < 5; ++i) EXPECT_EQ(descriptors_of({}), "0\n1\n2\n");
    load.cancel();
    process_options options;
    options.descriptors = {pipe[1], careless};
    EXPECT_EQ(descriptors_of(options), "0\n1\n2\n3\n4\n");
    EXPECT_EQ(run_process(shell("echo there >&3"), options).status, 0);
    std::string text(64, '\0');
    text.resize(weft::read(pipe[0], text));
    EXPECT_EQ(text, "there\n");
    ::close(careless);
  });
}

TEST_P(Process, SignalsAreAsAProgramExpectsThem) {
  inside([] {
    sigset_t some;
    sigset_t before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    weft::signal_listener heard{SIGTERM};
    pthread_sigmask(SIG_BLOCK, &some, &before);
    const std::string status = run_process({"cat", "/proc/self/status"}).out;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    std::istringstream lines(status);
    std::string name;
    std::string mask;
    int found = 0;
    while (lines >> name) {
      if (name != "SigIgn:" && name != "SigBlk:" && name != "SigCgt:") continue;
      ++found;
      lines >> mask;
      const auto signals = std::stoull(mask, nullptr, 16);
      EXPECT_EQ(name == "SigIgn:" ? signals & (1u << (SIGPIPE - 1)) : signals, 0u) << name;
    }
    EXPECT_EQ(found, 3);
  });
}

TEST_P(Process, ManyStartAtOnce) {
  inside([] {
    constexpr int count = weft_test::slowness == 1 ? 200 : 40;
    std::vector<int> all(count);
    for (int i = 0; i < count; ++i) all[static_cast<std::size_t>(i)] = i;
    const auto listed = weft::map(all, [](int i) {
      process_options options;
      options.input = std::to_string(i);
      return run_process(shell(std::string("cat; echo; ") + list_descriptors), options).out;
    });
    for (int i = 0; i < count; ++i)
      EXPECT_EQ(listed[static_cast<std::size_t>(i)], std::to_string(i) + "\n0\n1\n2\n");
  });
}

TEST_P(Process, AProgramThatWasJustWrittenCanBeStarted) {
  inside([&] {
    weft::group all;
    for (int i = 0; i < 8; ++i)
      all.go([&, i] {
        for (int j = 0; j < 10; ++j) {
          const std::string path = in(std::to_string(i) + "-" + std::to_string(j));
          weft::write_file(path, "#!/bin/sh\necho ran\n", weft::durable::no);
          ::chmod(path.c_str(), 0755);
          EXPECT_EQ(run_process({path}).out, "ran\n");
        }
      });
    all.wait();
  });
}

// ---- failures

TEST_P(Process, WhatCannotBeStartedIsAnErrorThatNamesIt) {
  inside([&] {
    const std::string plain = in("plain");
    weft::write_file(plain, "text", weft::durable::no);
    EXPECT_EQ(outcome([] { run_process({"no-such-program"}); }),
              "cannot start no-such-program: No such file or directory");
    EXPECT_EQ(failure_of([] { spawn_process({"/no/such/program"}); }),
              std::errc::no_such_file_or_directory);
    EXPECT_EQ(failure_of([&] { spawn_process({plain}); }), std::errc::permission_denied);
    EXPECT_EQ(failure_of([] { spawn_process({"/"}); }), std::errc::permission_denied);
    EXPECT_EQ(failure_of([] { spawn_process({""}); }), std::errc::no_such_file_or_directory);
    EXPECT_EQ(failure_of([] {
                spawn_process({"echo", std::string(8 << 20, 'x')});
              }),
              std::errc::argument_list_too_long);
    ::chmod(plain.c_str(), 0755);
    EXPECT_EQ(failure_of([&] { spawn_process({plain}); }), std::errc::executable_format_error);
    process_options options;
    options.cwd = "/no/such/directory";
    EXPECT_EQ(outcome([&] { run_process({"true"}, options); }),
              "cannot start true: enter the directory /no/such/directory: "
              "No such file or directory");
    options = {};
    options.in = stdio::file("/no/such/file");
    EXPECT_EQ(outcome([&] { run_process({"true"}, options); }),
              "cannot start true: open /no/such/file: No such file or directory");
    options.in = stdio::descriptor(12345);
    EXPECT_EQ(failure_of([&] { run_process({"true"}, options); }), std::errc::bad_file_descriptor);
    options = {};
    options.descriptors = {-1};
    EXPECT_EQ(outcome([&] { run_process({"true"}, options); }),
              "cannot start true: use descriptor -1: Bad file descriptor");
  });
}

TEST_P(Process, WhatMakesNoSenseIsRefused) {
  inside([] {
    auto refused = [](const std::vector<std::string>& argv, const process_options& options) {
      EXPECT_EQ(failure_of([&] { spawn_process(argv, options); }), std::errc::invalid_argument);
      EXPECT_EQ(failure_of([&] { run_process(argv, options); }), std::errc::invalid_argument);
    };
    refused({}, {});
    refused({std::string("tr\0ue", 5)}, {});
    refused({"true", std::string("\0", 1)}, {});
    process_options options;
    options.cwd = std::string("/\0x", 3);
    refused({"true"}, options);
    options = {};
    options.out = stdio::file(std::string("/tmp/\0x", 7));
    refused({"true"}, options);
    for (const auto& name : {std::string(), std::string("a=b"), std::string("a\0b", 3)}) {
      options = {};
      options.env[name] = "x";
      refused({"true"}, options);
    }
    options = {};
    options.env["name"] = std::string("a\0b", 3);
    refused({"true"}, options);
    options = {};
    options.in = stdio::same_as_out();
    refused({"true"}, options);
    options.in = stdio::append("/tmp/x");
    refused({"true"}, options);
    options = {};
    options.out = stdio::same_as_out();
    refused({"true"}, options);
    options = {};
    options.in = stdio::null();
    options.input = "x";
    refused({"true"}, options);
    options.in = stdio::pipe();
    EXPECT_EQ(failure_of([&] { spawn_process({"true"}, options); }), std::errc::invalid_argument);
  });
  EXPECT_THROW(spawn_process({"true"}), std::logic_error);
  EXPECT_THROW(run_process({"true"}), std::logic_error);
}

TEST_P(Process, WithoutAProcessCallsAreErrors) {
  inside([] {
    process none;
    EXPECT_FALSE(none);
    EXPECT_EQ(none.pid(), -1);
    EXPECT_EQ(failure_of([&] { none.wait(); }), std::errc::no_child_process);
    EXPECT_EQ(failure_of([&] { none.kill(); }), std::errc::no_child_process);
    EXPECT_EQ(failure_of([&] { none.stdin_stream().write("x"); }), std::errc::bad_file_descriptor);
    EXPECT_EQ(failure_of([&] { weft::read_all(none.stdout_stream()); }),
              std::errc::bad_file_descriptor);
    none.detach();
  });
}

TEST_P(Process, AStatusThatTheProgramTookAwayIsAnError) {
  inside([] {
    for (const bool without : {false, true}) {
      weft::detail::child::without_pidfds = without;
      process one = spawn_process({"true"});
      ASSERT_EQ(::waitpid(one.pid(), nullptr, 0), one.pid());
      EXPECT_EQ(failure_of([&] { one.wait(); }), std::errc::no_child_process);
      one.kill();
      process two = spawn_process({"true"});
      ASSERT_EQ(::waitpid(two.pid(), nullptr, 0), two.pid());
    }
  });
}

TEST_P(Process, ChildrenOfTheProgramAreLeftAlone) {
  inside([] {
    const pid_t own = ::fork();
    if (own == 0) ::_exit(9);
    for (int i = 0; i < 5; ++i) run_process({"true"});
    int status = 0;
    EXPECT_EQ(::waitpid(own, &status, 0), own);
    EXPECT_EQ(WEXITSTATUS(status), 9);
  });
}

// ---- a program that lacks something

TEST_P(Process, ALackOfDescriptorsIsAnErrorAndLeavesNone) {
  inside([] {
    run_process({"true"});
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    bool failed = false;
    bool worked = false;
    for (rlim_t limit = 3; !worked && limit < 1000; ++limit) {
      const rlimit few{limit, before.rlim_max};
      setrlimit(RLIMIT_NOFILE, &few);
      const auto code = failure_of([] { run_process({"true"}); });
      setrlimit(RLIMIT_NOFILE, &before);
      EXPECT_TRUE(!code || code == std::errc::too_many_files_open) << code.message();
      (code ? failed : worked) = true;
    }
    EXPECT_TRUE(failed);
    EXPECT_TRUE(worked);
  });
}

// Runs a test below in a new process.
int status_of_test(const std::string& name, const std::string& prefix = "exec \"$@\"") {
  return weft::run([&] {
    process_options options;
    options.out = options.err = stdio::inherit();
    return run_process({"sh", "-c", prefix, "sh", "/proc/" + std::to_string(::getpid()) + "/exe",
                        "--gtest_also_run_disabled_tests", "--gtest_filter=" + name},
                       options)
        .status;
  });
}

TEST(ProcessAlone, DISABLED_RunsOthers) {
  const std::string out = weft::run([] {
    process_options options;
    options.input = "through";
    const auto got = run_process(shell("cat; echo err >&2"), options);
    return got.out + got.err + descriptors_of({});
  });
  EXPECT_EQ(out, "througherr\n0\n1\n2\n");
}

TEST(ProcessAlone, StandardStreamsThatAreClosedDoNoHarm) {
  for (const char* closed : {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"})
    EXPECT_EQ(
        status_of_test("ProcessAlone.DISABLED_RunsOthers", "exec \"$@\" " + std::string(closed)), 0)
        << closed;
}

TEST(ProcessAlone, DISABLED_IgnoresItsChildren) {
  signal(SIGCHLD, SIG_IGN);  // so that the kernel reaps them
  weft::run([] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(failure_of([] { run_process({"true"}); }), std::errc::no_child_process);
      process one = spawn_process({"sleep", "1000"});
    }
  });
}

TEST(ProcessAlone, AProgramThatIgnoresItsChildrenIsToldSo) {
  EXPECT_EQ(status_of_test("ProcessAlone.DISABLED_IgnoresItsChildren"), 0);
}

TEST(ProcessAlone, DISABLED_ExitsWhileOneRuns) {
  weft::runtime fibers;
  fibers.go([] { run_process({"sleep", "1000"}); }).detach();
  fibers.go([] { spawn_process({"sleep", "1000"}).wait(); }).detach();
}

TEST(ProcessAlone, ARuntimeThatEndsTakesThemAlong) {
  EXPECT_EQ(status_of_test("ProcessAlone.DISABLED_ExitsWhileOneRuns"), 0);
}

}  // namespace
