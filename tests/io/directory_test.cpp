// Directories read as streams, walks, whole trees removed, links, copies.
#include <weft/directory.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
namespace fs = std::filesystem;
using weft::entry_kind;
using strings = std::vector<std::string>;

class Directory : public file_fixture {
 protected:
  // Memory, if there is such a place: thousands of files on a disk take their time.
  std::string parent() const override {
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : file_fixture::parent();
  }

  void touch(const std::string& name) const { std::ofstream(in(name)) << name; }

  strings walked(const std::string& below, const weft::walk_options& options = {}) const {
    strings all;
    for (const weft::walk_entry& each : weft::walk(in(below), options))
      all.push_back(std::to_string(each.depth) + " " + each.path.substr(in("").size()));
    std::sort(all.begin(), all.end());
    return all;
  }
};
FIBER_SUITE(Directory);
class Walk : public Directory {};
FIBER_SUITE(Walk);
class RemoveAll : public Directory {};
FIBER_SUITE(RemoveAll);
class CopyFile : public Directory {};
FIBER_SUITE(CopyFile);

// ---- one directory

TEST_P(Directory, HandsOutEveryEntryOnceWithItsKind) {
  inside([&] {
    touch("file");
    fs::create_directory(in("folder"));
    fs::create_symlink("file", in("link"));
    fs::create_symlink("none", in("dangling"));
    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    std::map<std::string, entry_kind> seen;
    for (const weft::directory_entry& each : weft::open_directory(in(""))) {
      EXPECT_EQ(each.path, in(each.name));
      EXPECT_TRUE(seen.emplace(each.name, each.kind).second);
    }
    const std::map<std::string, entry_kind> expected = {{"file", entry_kind::regular},
                                                        {"folder", entry_kind::directory},
                                                        {"link", entry_kind::symlink},
                                                        {"dangling", entry_kind::symlink},
                                                        {"pipe", entry_kind::other}};
    EXPECT_EQ(seen, expected);
    weft::directory empty = weft::open_directory(in("folder"));
    EXPECT_EQ(empty.path(), in("folder"));
    EXPECT_FALSE(empty.next());
    EXPECT_FALSE(empty.next());
  });
}

TEST_P(Directory, ReadsManyEntriesInBatches) {
  constexpr int count = 3000;  // more than one batch, and more than one system call
  for (int i = 0; i < count; ++i) touch(std::to_string(i));
  inside([&] {
    std::set<std::string> seen;
    weft::directory all = weft::open_directory(in(""));
    while (const auto each = all.next()) EXPECT_TRUE(seen.insert(each->name).second);
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(names().size(), static_cast<std::size_t>(count));
  });
}

TEST_P(Directory, TellsWhatIsWrongWithThePath) {
  inside([&] {
    touch("file");
    const auto open = [](const std::string& path) {
      return [path] { weft::open_directory(path); };
    };
    expect_error(std::errc::no_such_file_or_directory, open(in("none")),
                 "cannot list " + in("none") + ": No such file or directory");
    expect_error(std::errc::not_a_directory, open(in("file")));
    expect_error(std::errc::no_such_file_or_directory, open(""));
    expect_error(std::errc::invalid_argument, open(std::string("a\0b", 3)));
    expect_error(std::errc::filename_too_long, open(in(std::string(300, 'x'))));
    fs::create_symlink("circle", in("circle"));
    expect_error(std::errc::too_many_symbolic_link_levels, open(in("circle")));
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::walk(in("none")); });
    expect_error(std::errc::not_a_directory, [&] { weft::walk(in("file")); });
    weft::walk_options lenient;
    lenient.skip_unreadable = true;  // concerns what is on the way
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::walk(in("none"), lenient); });
  });
  EXPECT_THROW(weft::open_directory("/"), std::logic_error);
  EXPECT_THROW(weft::walk("/"), std::logic_error);
  EXPECT_THROW(weft::remove_all(in("none")), std::logic_error);
}

TEST_P(Directory, ClosedMovedFromAndEmptyOnesSayBadDescriptor) {
  inside([&] {
    weft::directory first = weft::open_directory(in(""));
    weft::directory moved = std::move(first);
    moved.close();
    moved.close();
    weft::directory never;
    for (weft::directory* each : {&first, &moved, &never}) {
      expect_error(std::errc::bad_file_descriptor, [&] { each->next(); });
      each->close();
    }
    EXPECT_EQ(moved.path(), in(""));
    expect_error(std::errc::bad_file_descriptor, [&] { never.path(); });
    weft::directory_walk walk = weft::walk(in(""));
    weft::directory_walk moved_walk = std::move(walk);
    moved_walk.close();
    weft::directory_walk none;
    for (weft::directory_walk* each : {&walk, &moved_walk, &none}) {
      expect_error(std::errc::bad_file_descriptor, [&] { each->next(); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->skip_children(); });
      each->close();
    }
  });
}

TEST_P(Directory, IsUsedByOneFiberAtATimeAndClosedUnderIt) {
  for (int i = 0; i < 2000; ++i) touch(std::to_string(i));
  inside([&] {
    weft::directory all = weft::open_directory(in(""));
    const auto advance = [&] {
      while (all.next()) {
      }
    };
    weft::fiber<void> first;
    {
      const busy_pool blocked;
      first = weft::go([&] { expect_error(std::errc::bad_file_descriptor, advance); });
      until_parked(1 + 4);  // the first fiber, and those that block the pool
      expect_error(std::errc::device_or_resource_busy, [&] { all.next(); });
      all.close();
    }
    first.join();
    expect_error(std::errc::bad_file_descriptor, [&] { all.next(); });
  });
}

TEST_P(Directory, CancellationAndDeadlinesLoseNoEntry) {
  constexpr std::size_t count = 2000;
  for (std::size_t i = 0; i < count; ++i) touch(std::to_string(i));
  inside([&] {
    std::set<std::string> seen;
    weft::directory all = weft::open_directory(in(""));
    bool over = false;
    const auto take = [&] {
      while (const auto each = all.next()) EXPECT_TRUE(seen.insert(each->name).second);
      over = true;
    };
    {
      const busy_pool blocked;
      EXPECT_THROW(weft::with_timeout(3ms, take), weft::timed_out);
    }
    EXPECT_GT(seen.size(), 0u);
    int round = 0;
    while (!over) {
      auto fiber = weft::go(take);
      if (++round % 2 == 0) weft::yield();
      fiber.cancel();
      fiber.wait();
      if (round == 100) take();
    }
    EXPECT_EQ(seen.size(), count);
  });
}

// ---- walks

TEST_P(Walk, TellsEachDirectoryBeforeWhatIsInIt) {
  inside([&] {
    fs::create_directories(in("t/a/b/c"));
    touch("t/1");
    touch("t/a/2");
    touch("t/a/b/c/3");
    fs::create_symlink("a", in("t/link"));
    EXPECT_EQ(walked("t"), (strings{"0 t/1", "0 t/a", "0 t/link", "1 t/a/2", "1 t/a/b", "2 t/a/b/c",
                                    "3 t/a/b/c/3"}));
    std::set<std::string> before{in("t")};
    for (const auto& each : weft::walk(in("t"))) {
      EXPECT_TRUE(before.count(each.path.substr(0, each.path.rfind('/'))) == 1);
      before.insert(each.path);
    }
    weft::walk_options flat;
    flat.max_depth = 0;
    EXPECT_EQ(walked("t", flat), (strings{"0 t/1", "0 t/a", "0 t/link"}));
    flat.max_depth = 1;
    EXPECT_EQ(walked("t", flat), (strings{"0 t/1", "0 t/a", "0 t/link", "1 t/a/2", "1 t/a/b"}));
    EXPECT_EQ(walked("t/link"),  // the root itself may be a link
              (strings{"0 t/link/2", "0 t/link/b", "1 t/link/b/c", "2 t/link/b/c/3"}));
  });
}

TEST_P(Walk, LeavesOutWhatIsSkipped) {
  inside([&] {
    fs::create_directories(in("t/a/b"));
    fs::create_directories(in("t/z/y"));
    strings seen;
    weft::directory_walk all = weft::walk(in("t"));
    all.skip_children();  // nothing was returned yet: concerns nothing
    while (const auto each = all.next()) {
      seen.push_back(each->name);
      if (each->name == "a") all.skip_children();
    }
    all.skip_children();
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, (strings{"a", "y", "z"}));
  });
}

TEST_P(Walk, FollowsLinksButNotInCircles) {
  inside([&] {
    fs::create_directories(in("t/a/b"));
    fs::create_directories(in("elsewhere/deep"));
    fs::create_symlink("../..", in("t/a/up"));
    fs::create_symlink(".", in("t/self"));
    fs::create_symlink("../elsewhere", in("t/other"));
    fs::create_symlink("circle", in("t/circle"));
    weft::walk_options follow;
    follow.follow_links = true;
    follow.max_depth = 40;
    // up leads above t: its entries are told, also t once more, which is on the way.
    const strings seen = walked("t", follow);
    const strings expected = {"0 t/a",          "0 t/circle",
                              "0 t/other",      "0 t/self",
                              "1 t/a/b",        "1 t/a/up",
                              "1 t/other/deep", "2 t/a/up/elsewhere",
                              "2 t/a/up/t",     "3 t/a/up/elsewhere/deep"};
    EXPECT_EQ(seen, expected);
    for (const auto& each : weft::walk(in("t"), follow)) {
      if (each.name == "circle") {
        EXPECT_EQ(each.kind, entry_kind::symlink);
      }
      if (each.name == "other") {
        EXPECT_EQ(each.kind, entry_kind::directory);
      }
    }
  });
}

TEST_P(Walk, ReportsOrSkipsWhatHasVanished) {
  inside([&] {
    const auto without_a = [&](bool skip) {
      fs::create_directories(in("t/a"));
      fs::create_directories(in("t/b/c"));
      weft::walk_options options;
      options.skip_unreadable = skip;
      weft::directory_walk all = weft::walk(in("t"), options);
      strings seen;
      int errors = 0;
      for (;;) {
        try {
          const auto each = all.next();
          if (!each) break;
          seen.push_back(each->name);
          if (each->name == "a") fs::remove(in("t/a"));
        } catch (const weft::io_error& error) {
          EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
          EXPECT_EQ(std::string(error.what()),
                    "cannot list " + in("t/a") + ": No such file or directory");
          ++errors;
        }
      }
      EXPECT_EQ(errors, skip ? 0 : 1);
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, (strings{"a", "b", "c"}));
    };
    without_a(true);
    without_a(false);
  });
}

TEST_P(Walk, DoesNotFollowALinkThatTakesThePlaceOfADirectory) {
  inside([&] {
    fs::create_directories(in("t/a"));
    fs::create_directories(in("secret/inner"));
    weft::walk_options options;
    options.skip_unreadable = true;
    strings seen;
    for (const auto& each : weft::walk(in("t"), options)) {
      seen.push_back(each.name);
      if (each.name != "a") continue;
      fs::remove(in("t/a"));
      fs::create_symlink("../secret", in("t/a"));
    }
    EXPECT_EQ(seen, strings{"a"});
  });
}

TEST_P(Walk, GoesOnAfterCancellation) {
  for (int i = 0; i < 30; ++i) fs::create_directories(in("t/" + std::to_string(i) + "/x"));
  inside([&] {
    weft::directory_walk all = weft::walk(in("t"));
    std::set<std::string> seen;
    std::atomic<int> found{0};
    bool over = false;
    while (!over) {
      auto fiber = weft::go([&] {
        for (int i = 0; const auto each = all.next(); ++i) {
          EXPECT_TRUE(seen.insert(each->path).second);
          ++found;
          if (i == 3) weft::yield();
        }
        over = true;
      });
      weft::yield();
      if (found < 40) fiber.cancel();
      fiber.wait();
    }
    EXPECT_EQ(seen.size(), 60u);
  });
}

// ---- trees removed

TEST_P(RemoveAll, RemovesTreesFilesAndLinksAndCounts) {
  inside([&] {
    fs::create_directories(in("t/a/b/c"));
    for (int i = 0; i < 1500; ++i) touch("t/a/" + std::to_string(i));
    fs::create_directory(in("kept"));
    touch("kept/file");
    fs::create_symlink("../../kept", in("t/a/link"));
    fs::create_symlink("kept", in("top"));
    EXPECT_EQ(weft::remove_all(in("t/")), 4u + 1500u + 1u);
    EXPECT_EQ(weft::remove_all(in("top///")), 1u);  // the link, not what it leads to
    EXPECT_EQ(names(), strings{"kept"});
    EXPECT_TRUE(weft::exists(in("kept/file")));
    EXPECT_EQ(weft::remove_all(in("kept/file")), 1u);
    EXPECT_EQ(weft::remove_all(in("none")), 0u);
    EXPECT_EQ(weft::remove_all(in("none/below")), 0u);
  });
}

TEST_P(RemoveAll, RefusesWhatNobodyMeans) {
  inside([&] {
    touch("file");
    expect_error(std::errc::invalid_argument, [&] { weft::remove_all(in(".")); });
    expect_error(std::errc::invalid_argument, [&] { weft::remove_all(in("./")); });
    expect_error(std::errc::invalid_argument, [&] { weft::remove_all(in("..")); });
    expect_error(std::errc::device_or_resource_busy, [] { weft::remove_all("/"); });
    expect_error(std::errc::device_or_resource_busy, [] { weft::remove_all("///"); });
    expect_error(std::errc::no_such_file_or_directory, [] { weft::remove_all(""); });
    expect_error(std::errc::invalid_argument, [] { weft::remove_all(std::string("a\0", 2)); });
    expect_error(std::errc::not_a_directory, [&] { weft::remove_all(in("file/below")); });
    EXPECT_EQ(names(), strings{"file"});
    expect_error(std::errc::operation_not_permitted, [] { weft::remove_all("/proc/self/task"); });
  });
}

// Deeper than a path may be long, and than descriptors are kept.
TEST_P(RemoveAll, GoesAsDeepAsTheTree) {
  constexpr int depth = 600;
  const std::string name(20, 'd');
  inside([&] {
    const weft::detail::unique_fd start(::open(in("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int at = ::dup(start.get());
    for (int i = 0; i < depth; ++i) {
      ASSERT_EQ(::mkdirat(at, name.c_str(), 0700), 0);
      ASSERT_EQ(::mkdirat(at, "beside", 0700), 0);
      const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      ::close(at);
      at = next;
    }
    ::close(at);
    EXPECT_EQ(weft::remove_all(in(name)), 2u * depth - 1u);
    EXPECT_EQ(names(), strings{"beside"});
  });
}

TEST_P(RemoveAll, NeverLeavesTheTreeWhileOthersSwapLinksIn) {
  inside([&] {
    fs::create_directories(in("kept/x"));
    for (int i = 0; i < 20; ++i) touch("kept/x/" + std::to_string(i));
    const int rounds = 60 / slowness + 5;
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < 20; ++i) fs::create_directories(in("t/" + std::to_string(i) + "/x"));
      std::atomic<bool> over{false};
      std::thread swapper([&] {
        for (int i = 0; !over; i = (i + 1) % 20) {
          const std::string victim = in("t/" + std::to_string(i));
          std::error_code ignored;
          fs::rename(victim, in("t/away"), ignored);
          fs::create_symlink("../kept", victim, ignored);
          fs::remove(victim, ignored);
          fs::rename(in("t/away"), victim, ignored);
        }
      });
      try {
        weft::remove_all(in("t"));
      } catch (const weft::io_error&) {  // it is being written to
      }
      over = true;
      swapper.join();
      weft::remove_all(in("t"));
      ASSERT_EQ(weft::list_directory(in("kept/x")).size(), 20u);
    }
  });
}

TEST_P(RemoveAll, StopsWhenCancelled) {
  inside([&] {
    for (int i = 0; i < 3000; ++i) touch(std::to_string(i));
    const busy_pool blocked;
    EXPECT_THROW(weft::with_timeout(3ms, [&] { weft::remove_all(in("")); }), weft::timed_out);
  });
  inside([&] {
    EXPECT_EQ(names().size(), 3000u);
    auto fiber = weft::go([&] { weft::remove_all(in("")); });
    fiber.cancel();
    EXPECT_THROW(fiber.join(), weft::fiber_cancelled);
    EXPECT_GT(names().size(), 0u);
  });
}

// ---- links, times and temporary directories

TEST_P(Directory, LinksPermissionsAndTimesAreSetAndTold) {
  inside([&] {
    touch("file");
    weft::make_symlink("file", in("link"));
    weft::make_symlink("none", in("dangling"));
    EXPECT_EQ(weft::read_link(in("link")), "file");
    EXPECT_EQ(weft::read_link(in("dangling")), "none");
    expect_error(std::errc::invalid_argument, [&] { weft::read_link(in("file")); });
    expect_error(std::errc::file_exists, [&] { weft::make_symlink("x", in("link")); });
    expect_error(std::errc::invalid_argument,
                 [&] { weft::make_symlink(std::string("\0", 1), in("new")); });
    EXPECT_TRUE(weft::link_info(in("link")).is_symlink);
    EXPECT_TRUE(weft::link_info(in("dangling")).is_symlink);
    EXPECT_FALSE(weft::stat(in("link")).is_symlink);
    EXPECT_TRUE(weft::link_info(in("file")).is_regular);
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::link_info(in("none")); });
    fs::create_hard_link(in("file"), in("second"));
    const weft::file_info about = weft::stat(in("second"));
    EXPECT_EQ(about.links, 2u);
    EXPECT_EQ(about.owner, geteuid());
    EXPECT_EQ(about.group, getegid());
    EXPECT_EQ(about.inode, weft::stat(in("link")).inode);
    EXPECT_EQ(about.device, weft::stat(in("link")).device);
    EXPECT_NE(about.inode, weft::link_info(in("link")).inode);

    weft::set_permissions(in("link"), 0640);
    EXPECT_EQ(weft::stat(in("file")).mode, 0640u);
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::set_permissions(in("x"), 0); });
    for (const auto since : {1'000'000'123'456'789ns, -5'500'000'000ns}) {
      const auto when = std::chrono::system_clock::time_point(since);
      const auto read = weft::stat(in("file")).accessed;
      weft::set_modified(in("file"), when);
      EXPECT_EQ(weft::stat(in("file")).modified, when);
      EXPECT_EQ(weft::stat(in("file")).accessed, read);
    }
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::set_modified(in("x"), {}); });
  });
}

TEST_P(Directory, TemporaryDirectoriesAreNewAndPrivate) {
  inside([&] {
    const std::string first = weft::make_temp_directory(in("."));
    const std::string second = weft::make_temp_directory(in("./"));
    EXPECT_NE(first, second);
    EXPECT_EQ(weft::stat(first).mode, 0700u);
    EXPECT_EQ(names().size(), 2u);
    EXPECT_EQ(weft::remove_all(first), 1u);
    EXPECT_EQ(weft::remove_all(weft::make_temp_directory()), 1u);
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::make_temp_directory(in("none")); },
        "cannot make a temporary directory in " + in("none/") + ": No such file or directory");
    expect_error(std::errc::invalid_argument,
                 [&] { weft::make_temp_directory(std::string("a\0", 2)); });
  });
}

// ---- copies

TEST_P(CopyFile, CopiesWhatIsInIt) {
  inside([&] {
    for (const std::size_t size : {0u, 1u, 100'000u, 3'000'000u}) {
      const std::string content = random_bytes(size);
      weft::write_file(in("a"), content, weft::durable::no);
      weft::copy_file(in("a"), in("b"), weft::durable::no);
      EXPECT_TRUE(weft::read_file(in("b")) == content);
    }
    weft::copy_file("/proc/self/status", in("c"));  // tells no size
    EXPECT_EQ(weft::read_file(in("c")).substr(0, 5), "Name:");
    weft::set_permissions(in("a"), 0700);
    weft::copy_file(in("a"), in("new"));
    EXPECT_EQ(weft::stat(in("new")).mode, 0700u);
    weft::set_permissions(in("b"), 0600);
    weft::copy_file(in("a"), in("b"));  // keeps its mode
    EXPECT_EQ(weft::stat(in("b")).mode, 0600u);
    weft::copy_file(in("a"), in("a"));
    EXPECT_EQ(weft::stat(in("a")).size, 3'000'000u);
    EXPECT_EQ(names(), (strings{"a", "b", "c", "new"}));
  });
}

TEST_P(CopyFile, CopiesPipesAndDevicesToTheirEnd) {
  inside([&] {
    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    const std::string content = random_bytes(300'000);
    weft::write_file(in("a"), content, weft::durable::no);
    auto writer = weft::go([&] { weft::copy_file(in("a"), in("pipe")); });
    weft::copy_file(in("pipe"), in("b"));
    writer.join();
    EXPECT_TRUE(weft::read_file(in("b")) == content);
    weft::copy_file("/dev/null", in("b"));
    EXPECT_EQ(weft::stat(in("b")).size, 0u);
    weft::copy_file(in("a"), "/dev/null");
    expect_error(std::errc::no_space_on_device, [&] { weft::copy_file(in("a"), "/dev/full"); });
  });
}

TEST_P(CopyFile, LeavesTheOldFileWhenItFails) {
  inside([&] {
    weft::write_file(in("a"), std::string(3 << 20, 'x'), weft::durable::no);
    weft::write_file(in("b"), "old", weft::durable::no);
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::copy_file(in("none"), in("b")); },
        "cannot copy " + in("none") + ": No such file or directory");
    expect_error(std::errc::is_a_directory, [&] { weft::copy_file(in(""), in("b")); });
    expect_error(std::errc::is_a_directory, [&] { weft::copy_file(in("a"), in("")); });
    expect_error(std::errc::invalid_argument,
                 [&] { weft::copy_file(in("a"), std::string("\0", 1)); });
    {
      const file_size_limit limit(1 << 20);
      expect_error(std::errc::file_too_large, [&] { weft::copy_file(in("a"), in("b")); });
    }
    auto cancelled = weft::go([&] { weft::copy_file(in("a"), in("b")); });
    cancelled.cancel();
    EXPECT_THROW(cancelled.join(), weft::fiber_cancelled);
    EXPECT_EQ(weft::read_file(in("b")), "old");
    EXPECT_EQ(names(), (strings{"a", "b"}));
  });
}

}  // namespace
