// Changes of files and directories, told by the kernel and found by comparing.
#include <weft/watch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
namespace fs = std::filesystem;
using weft::file_change;
using weft::file_event;
using weft::path_watcher;

std::string shown(const file_event& event) {
  static const char* const kinds[] = {"created", "modified", "removed", "renamed", "overflowed"};
  std::string all = kinds[static_cast<int>(event.kind)];
  if (!event.old_path.empty()) all += " " + event.old_path.substr(event.old_path.rfind('/') + 1);
  return all + " " + event.path.substr(event.path.rfind('/') + 1);
}

class Watching : public file_fixture {
 protected:
  // Memory, if there is such a place: thousands of files on a disk take their time.
  std::string parent() const override {
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : file_fixture::parent();
  }

  void put(const std::string& name, const std::string& text = "x") const {
    std::ofstream(in(name), std::ios::app) << text;
  }

  // The next events are these.
  static void expect_next(path_watcher& from, const std::vector<std::string>& expected) {
    for (const std::string& each : expected) EXPECT_EQ(shown(from.next()), each);
  }
  static void expect_quiet(path_watcher& from) {
    EXPECT_THROW(weft::with_timeout(30ms, [&] { ADD_FAILURE() << shown(from.next()); }),
                 weft::timed_out);
  }
};
FIBER_SUITE(Watching);
class Polling : public Watching {
 protected:
  static weft::watch_options often() {
    weft::watch_options options;
    options.poll = 2ms;
    return options;
  }
};
FIBER_SUITE(Polling);

// ---- directories

TEST_P(Watching, TellsWhatHappensToTheEntriesOfADirectory) {
  inside([&] {
    path_watcher all = weft::watch(in(""));
    EXPECT_EQ(all.path(), in(""));
    put("a");  // before next() is called
    expect_next(all, {"created a", "modified a"});
    put("a", "more");
    expect_next(all, {"modified a"});
    fs::create_directory(in("d"));
    expect_next(all, {"created d"});
    put("d/below");  // is not watched
    fs::rename(in("a"), in("b"));
    expect_next(all, {"renamed a b"});
    fs::remove(in("b"));
    expect_next(all, {"removed b"});
    fs::resize_file(in("d/below"), 0);
    expect_quiet(all);
    put("a");
    file_event made = all.next();
    EXPECT_EQ(made.path, in("a"));
    EXPECT_TRUE(made.old_path.empty());
  });
}

TEST_P(Watching, AMoveOutIsARemovalAndAMoveInACreation) {
  inside([&] {
    fs::create_directory(in("d"));
    put("d/a");
    path_watcher inner = weft::watch(in("d"));
    path_watcher outer = weft::watch(in(""));
    fs::rename(in("d/a"), in("a"));
    expect_next(inner, {"removed a"});
    expect_next(outer, {"created a"});
    put("b");
    fs::rename(in("a"), in("b"));  // replaces it
    expect_next(outer, {"created b", "modified b", "renamed a b"});
  });
}

TEST_P(Watching, EndsWithItsDirectory) {
  inside([&] {
    for (const bool remove : {true, false}) {
      fs::create_directory(in("d"));
      path_watcher all = weft::watch(in("d"));
      auto waiting = weft::go([&] { return all.next(); });
      until_parked(1);
      if (remove)
        fs::remove(in("d"));
      else
        fs::rename(in("d"), in("e"));
      const file_event last = waiting.join();
      EXPECT_EQ(last.kind, file_change::removed);
      EXPECT_EQ(last.path, in("d"));
      expect_error(
          std::errc::no_such_file_or_directory, [&] { all.next(); },
          "cannot watch " + in("d") + ": No such file or directory");
      expect_error(std::errc::no_such_file_or_directory, [&] { all.next(); });
    }
  });
}

TEST_P(Watching, LosesNothingOfABurst) {
  constexpr int count = 1000;  // many reads' worth, but fewer than the kernel keeps
  inside([&] {
    path_watcher all = weft::watch(in(""));
    for (int i = 0; i < count; ++i) {
      const std::string name = "f" + std::to_string(i);
      ::close(::open(in(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      fs::rename(in(name), in("g" + std::to_string(i)));
    }
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(i);
      ASSERT_EQ(shown(all.next()), "created f" + number);
      ASSERT_EQ(shown(all.next()), "renamed f" + number + " g" + number);
    }
  });
}

// The kernel's events come in buffers: one ends between the two halves of the rename.
TEST_P(Watching, WhoAsksLateFindsTheOtherHalfOfARename) {
  inside([&] {
    constexpr int before = 127;
    path_watcher all = weft::watch(in(""));
    for (int i = 0; i < before; ++i) put("f" + std::to_string(i), "");
    fs::rename(in("f0"), in("g0"));
    for (int i = 0; i < before; ++i) {
      ASSERT_EQ(shown(all.next()), "created f" + std::to_string(i));
      if (i == 0) weft::sleep(15ms);
    }
    expect_next(all, {"renamed f0 g0"});
  });
}

TEST_P(Watching, TellsThatTooMuchCameAtOnce) {
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  int most = 0;
  limit >> most;
  if (most == 0 || most > 50'000) GTEST_SKIP() << "the kernel keeps too many events";
  inside([&] {
    path_watcher all = weft::watch(in(""));
    put("a");
    put("b");
    const weft::detail::unique_fd a(::open(in("a").c_str(), O_WRONLY | O_CLOEXEC));
    const weft::detail::unique_fd b(::open(in("b").c_str(), O_WRONLY | O_CLOEXEC));
    for (int i = 0; i < most; ++i) ASSERT_EQ(::write(i % 2 == 0 ? a.get() : b.get(), "x", 1), 1);
    int told = 0;
    for (; told < most + 10; ++told)
      if (const file_event event = all.next(); event.kind == file_change::overflowed) {
        EXPECT_EQ(event.path, in(""));
        break;
      }
    EXPECT_LT(told, most + 10);
    put("c");
    expect_next(all, {"created c"});
  });
}

// ---- files

TEST_P(Watching, FollowsAFileThroughReplacementAndRotation) {
  inside([&] {
    put("log");
    path_watcher log = weft::watch(in("log"));
    put("other");  // in the same directory
    put("log");
    expect_next(log, {"modified log"});
    fs::resize_file(in("log"), 0);
    expect_next(log, {"modified log"});
    weft::write_file(in("log"), "replaced as editors do");
    expect_next(log, {"created log"});
    put("log");
    expect_next(log, {"modified log"});
    fs::rename(in("log"), in("log.1"));
    expect_next(log, {"renamed log log.1"});
    put("log.1");  // no longer what is at the path
    put("log");
    expect_next(log, {"created log"});
    put("log");
    expect_next(log, {"modified log"});
    fs::remove(in("log"));
    expect_next(log, {"removed log"});
    expect_quiet(log);
    put("log", "");
    expect_next(log, {"created log"});
  });
}

TEST_P(Watching, SeesWritesByWhateverName) {
  inside([&] {
    fs::create_directory(in("d"));
    put("d/real");
    fs::create_symlink("d/real", in("link"));
    fs::create_hard_link(in("d/real"), in("hard"));
    path_watcher link = weft::watch(in("link"));
    path_watcher hard = weft::watch(in("hard"));
    put("d/real");
    expect_next(link, {"modified link"});
    expect_next(hard, {"modified hard"});
    fs::remove(in("link"));
    put("d/second");
    fs::create_symlink("d/second", in("link"));
    expect_next(link, {"removed link", "created link"});
    put("d/second");
    expect_next(link, {"modified link"});
    EXPECT_EQ(hard.path(), in("hard"));
  });
}

TEST_P(Watching, WatchesANameInTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(in(""));
  inside([&] {
    put("a");
    path_watcher file = weft::watch("a");
    path_watcher folder = weft::watch(".");
    put("a");
    EXPECT_EQ(file.next().path, "a");
    EXPECT_EQ(folder.next().path, "./a");
  });
  fs::current_path(before);
}

// ---- waiting

TEST_P(Watching, CancellationAndDeadlinesLoseNoEvent) {
  inside([&] {
    path_watcher all = weft::watch(in(""));
    int told = 0;
    int cancelled = 0;
    const auto take = [&] {
      EXPECT_EQ(shown(all.next()), "created " + std::to_string(told));
      ++told;
    };
    const int rounds = 300 / slowness + 30;
    for (int i = 0; i < rounds; ++i) {
      auto fiber = weft::go([&] {
        for (;;) take();
      });
      if (i % 3 == 0) weft::yield();
      fs::create_directory(in(std::to_string(i)));
      if (i % 2 == 0) weft::yield();
      fiber.cancel();
      fiber.wait();
      ++cancelled;
    }
    while (told < rounds) take();
    EXPECT_THROW(weft::with_timeout(2ms, take), weft::timed_out);
    EXPECT_EQ(cancelled, rounds);
  });
}

// The halves of a rename lie in different calls.
TEST_P(Watching, ACancelledCallKeepsTheFirstHalfOfARename) {
  inside([&] {
    put("a");
    fs::create_directory(in("elsewhere"));
    path_watcher all = weft::watch(in(""));
    fs::rename(in("a"), in("elsewhere/a"));  // half a rename, and nothing else
    auto fiber = weft::go([&] { all.next(); });
    fiber.cancel();
    fiber.wait();
    std::optional<file_event> told;
    try {
      told = weft::with_timeout(1ms, [&] { return all.next(); });
    } catch (const weft::timed_out&) {  // the other half may still come
      told = all.next();
    }
    EXPECT_EQ(shown(*told), "removed a");
  });
}

TEST_P(Watching, AFileThatGoesWithItsDirectoryIsToldOnce) {
  inside([&] {
    fs::create_directory(in("folder"));
    put("folder/log");
    path_watcher log = weft::watch(in("folder/log"));
    fs::remove_all(in("folder"));
    expect_next(log, {"removed log"});
    expect_error(std::errc::no_such_file_or_directory, [&] { log.next(); });
  });
}

TEST_P(Watching, ClosingWakesWhoWaitsAndEndsLoops) {
  inside([&] {
    put("file");
    for (const bool poll : {false, true}) {
      weft::watch_options options;
      if (poll) options.poll = 1h;
      for (const char* name : {"", "file"}) {
        path_watcher one = weft::watch(in(name), options);
        path_watcher two = weft::watch(in(name), options);
        auto next =
            weft::go([&] { expect_error(std::errc::bad_file_descriptor, [&] { one.next(); }); });
        auto loop = weft::go([&] {
          for (const file_event& event : two) ADD_FAILURE() << shown(event);
        });
        until_parked(2);
        expect_error(std::errc::device_or_resource_busy, [&] { one.next(); });
        one.close();
        one.close();
        two.close();
        next.join();
        loop.join();
        expect_error(std::errc::bad_file_descriptor, [&] { one.next(); });
      }
    }
  });
}

TEST_P(Watching, SaysWhatIsWrong) {
  inside([&] {
    path_watcher never;
    expect_error(std::errc::bad_file_descriptor, [&] { never.next(); });
    expect_error(std::errc::bad_file_descriptor, [&] { never.path(); });
    never.close();
    path_watcher first = weft::watch(in(""));
    path_watcher second = std::move(first);
    expect_error(std::errc::bad_file_descriptor, [&] { first.next(); });
    first.close();
    put("file");
    EXPECT_EQ(second.next().path, in("file"));
    for (const auto poll : {0ms, 5ms}) {
      weft::watch_options options;
      options.poll = poll;
      const auto watch = [&](const std::string& path) {
        return [path, options] { weft::watch(path, options); };
      };
      expect_error(std::errc::no_such_file_or_directory, watch(in("none")),
                   "cannot watch " + in("none") + ": No such file or directory");
      expect_error(std::errc::no_such_file_or_directory, watch(in("none/below")));
      expect_error(std::errc::not_a_directory, watch(in("file/below")));
      expect_error(std::errc::no_such_file_or_directory, watch(""));
      expect_error(std::errc::invalid_argument, watch(std::string("a\0", 2)));
      fs::create_symlink("circle", in("circle"));
      expect_error(std::errc::too_many_symbolic_link_levels, watch(in("circle")));
      fs::remove(in("circle"));
    }
  });
  EXPECT_THROW(weft::watch("/"), std::logic_error);
}

TEST_P(Watching, OutlivesTheRunThatMadeIt) {
  std::optional<path_watcher> kept;
  inside([&] {
    kept = weft::watch(in(""));
    put("a");
    EXPECT_EQ(shown(kept->next()), "created a");
  });
  put("b");
  inside([&] { expect_next(*kept, {"modified a", "created b", "modified b"}); });
  kept.reset();  // on a plain thread
}

// ---- by comparing

TEST_P(Polling, FindsWhatHappensToTheEntriesOfADirectory) {
  inside([&] {
    put("old");
    path_watcher all = weft::watch(in(""), often());
    put("a");
    expect_next(all, {"created a"});
    while (true) {  // the look may have come before the text
      put("a", "more");
      if (shown(all.next()) == "modified a") break;
    }
    fs::rename(in("old"), in("new"));
    std::string told;
    while ((told = shown(all.next())) == "modified a") continue;
    EXPECT_EQ(told, "renamed old new");
    fs::remove(in("new"));
    expect_next(all, {"removed new"});
    expect_quiet(all);
    weft::remove_all(in(""));
    while ((told = shown(all.next())) == "removed a") continue;
    expect_error(std::errc::no_such_file_or_directory, [&] { all.next(); });
  });
  fs::create_directory(in(""));
}

TEST_P(Polling, FollowsAFileThroughReplacement) {
  inside([&] {
    put("log");
    path_watcher log = weft::watch(in("log"), often());
    put("other");
    fs::resize_file(in("log"), 100);
    expect_next(log, {"modified log"});
    fs::rename(in("other"), in("log"));
    expect_next(log, {"created log"});
    fs::remove(in("log"));
    expect_next(log, {"removed log"});
    expect_quiet(log);
    put("log");
    expect_next(log, {"created log"});
  });
}

TEST_P(Polling, LooksAlsoIfEachCallIsShort) {
  inside([&] {
    weft::watch_options seldom;
    seldom.poll = 20ms;
    path_watcher all = weft::watch(in(""), seldom);
    put("a");
    for (;;) {
      try {
        EXPECT_EQ(weft::with_timeout(5ms, [&] { return shown(all.next()); }), "created a");
        break;
      } catch (const weft::timed_out&) {
      }
    }
  });
}

TEST_P(Polling, CancellationLosesNoEvent) {
  inside([&] {
    path_watcher all = weft::watch(in(""), often());
    int told = 0;
    const int rounds = 30;
    const auto take = [&] {
      EXPECT_EQ(shown(all.next()), "created " + std::to_string(told + 10));
      ++told;
    };
    for (int i = 0; i < rounds; ++i) {
      fs::create_directory(in(std::to_string(i + 10)));
      EXPECT_THROW(weft::with_timeout(i * 200us,
                                      [&] {
                                        for (;;) take();
                                      }),
                   weft::timed_out);
    }
    while (told < rounds) take();
    expect_quiet(all);
  });
}

}  // namespace
