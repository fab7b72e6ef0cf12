// What files say to those who ask for what cannot be, and what the newer calls do.
#include <weft/file.hpp>

#include <sys/stat.h>

#include <climits>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
using weft::open_mode;

class FileError : public file_fixture {};
FIBER_SUITE(FileError);
class FilePosition : public file_fixture {};
FIBER_SUITE(FilePosition);
class FileVector : public file_fixture {};
FIBER_SUITE(FileVector);
class FileStream : public file_fixture {};
FIBER_SUITE(FileStream);

constexpr auto both = open_mode::read | open_mode::write | open_mode::create;

// ---- errors

// Every call that takes a path.
std::vector<std::function<void(const std::string&)>> calls_on_paths() {
  return {[](const std::string& path) { weft::open_file(path); },
          [](const std::string& path) { weft::open_file(path, both); },
          [](const std::string& path) { weft::read_file(path); },
          [](const std::string& path) { weft::write_file(path, "x"); },
          [](const std::string& path) { weft::append_file(path, "x"); },
          [](const std::string& path) { weft::copy_file(path, "/dev/null"); },
          [](const std::string& path) { weft::copy_file("/dev/null", path); },
          [](const std::string& path) { weft::stat(path); },
          [](const std::string& path) { weft::link_info(path); },
          [](const std::string& path) { weft::set_permissions(path, 0600); },
          [](const std::string& path) { weft::set_modified(path, {}); },
          [](const std::string& path) { weft::remove(path); },
          [](const std::string& path) { weft::remove_all(path); },
          [](const std::string& path) { weft::rename(path, "x"); },
          [](const std::string& path) { weft::make_symlink("x", path); },
          [](const std::string& path) { weft::read_link(path); },
          [](const std::string& path) { weft::make_directory(path); },
          [](const std::string& path) { weft::make_directories(path); },
          [](const std::string& path) { weft::list_directory(path); },
          [](const std::string& path) { weft::open_directory(path); },
          [](const std::string& path) { weft::walk(path); },
          [](const std::string& path) { weft::watch(path); }};
}

void expect_of_all(std::errc code, const std::string& path) {
  const auto all = calls_on_paths();
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE("call " + std::to_string(i));
    expect_error(code, [&] { all[i](path); });
  }
}

TEST_P(FileError, OfEveryCallForABadPath) {
  inside([&] {
    weft::write_file(in("file"), "", weft::durable::no);
    expect_of_all(std::errc::no_such_file_or_directory, "");
    expect_of_all(std::errc::invalid_argument, std::string("a\0b", 3));
    expect_of_all(std::errc::filename_too_long, in(std::string(NAME_MAX + 1, 'x')));
    expect_of_all(std::errc::filename_too_long, in(std::string(PATH_MAX, '/')) + "x");
    expect_of_all(std::errc::not_a_directory, in("file/below"));
    std::filesystem::create_symlink("circle", in("circle"));
    expect_of_all(std::errc::too_many_symbolic_link_levels, in("circle/below"));
    EXPECT_EQ(names(), (std::vector<std::string>{"circle", "file"}));
  });
}

TEST_P(FileError, OfModesThatMakeNoSense) {
  inside([&] {
    const auto open = [&](open_mode mode) { return [=] { weft::open_file(in("a"), mode); }; };
    expect_error(std::errc::invalid_argument, open(open_mode::truncate));
    expect_error(std::errc::invalid_argument, open(open_mode::read | open_mode::truncate));
    expect_error(std::errc::invalid_argument, open(static_cast<open_mode>(64)));
    expect_error(std::errc::invalid_argument, open(open_mode::read | static_cast<open_mode>(1024)));
    EXPECT_TRUE(names().empty());
    weft::open_file(in("a"), open_mode::create);  // made, and read
    char c = 0;
    EXPECT_EQ(weft::open_file(in("b"), open_mode::exclusive).read(&c, 1), 0u);
    expect_error(std::errc::is_a_directory, [&] { weft::open_file(in(""), open_mode::write); });
    expect_error(std::errc::is_a_directory,
                 [&] { weft::open_file(in(""), open_mode::read | open_mode::create); });
  });
}

TEST_P(FileError, OfUsingAFileOtherThanItWasOpened) {
  inside([&] {
    weft::write_file(in("a"), "text", weft::durable::no);
    weft::file reader = weft::open_file(in("a"));
    expect_error(
        std::errc::bad_file_descriptor, [&] { reader.write("x"); },
        "cannot write " + in("a") + ": Bad file descriptor");
    expect_error(std::errc::bad_file_descriptor, [&] { reader.write_at("x", 0); });
    expect_error(std::errc::bad_file_descriptor, [&] { reader.writev({"x"}); });
    expect_error(std::errc::invalid_argument, [&] { reader.truncate(0); });
    weft::file writer = weft::open_file(in("a"), open_mode::write);
    char c = 0;
    expect_error(
        std::errc::bad_file_descriptor, [&] { writer.read(&c, 1); },
        "cannot read " + in("a") + ": Bad file descriptor");
    expect_error(std::errc::bad_file_descriptor, [&] { writer.read_at(&c, 1, 0); });
    EXPECT_EQ(weft::read_file(in("a")), "text");
  });
}

TEST_P(FileError, OfAFileThatIsClosedMovedFromOrNone) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), both);
    EXPECT_GE(f.fd(), 0);
    weft::file closed = std::move(f);
    closed.close();
    weft::file never;
    for (weft::file* each : {&f, &closed, &never}) {
      expect_error(std::errc::bad_file_descriptor, [&] { each->seek(0); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->position(); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->info(); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->datasync(); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->writev({"x"}); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->writev({}); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->fd(); });
    }
  });
}

TEST_P(FileError, OfNoRoomAndOfTooLargeFiles) {
  inside([&] {
    weft::file full = weft::open_file("/dev/full", open_mode::write);
    expect_error(
        std::errc::no_space_on_device, [&] { full.write("x"); },
        "cannot write /dev/full: No space left on device");
    expect_error(std::errc::no_space_on_device, [&] { full.writev({"x", "y"}); });
    expect_error(std::errc::no_space_on_device, [] { weft::write_file("/dev/full", "x"); });
    expect_error(std::errc::no_space_on_device, [] { weft::append_file("/dev/full", "x"); });

    weft::file f = weft::open_file(in("a"), both);
    expect_error(std::errc::file_too_large, [&] { f.write_at("x", INT64_MAX); });
    expect_error(std::errc::invalid_argument, [&] { f.write_at("x", UINT64_MAX); });
    expect_error(std::errc::invalid_argument, [&] { f.truncate(UINT64_MAX); });
    char c = 0;
    expect_error(std::errc::invalid_argument, [&] { f.read_at(&c, 1, UINT64_MAX); });
    expect_error(std::errc::invalid_argument, [&] { f.read_at(&c, 0, UINT64_MAX); });
    const file_size_limit limit(100'000);
    f.seek(90'000);
    expect_error(std::errc::file_too_large, [&] { f.write(std::string(20'000, 'x')); });
    EXPECT_EQ(f.position(), 100'000u);  // as far as it came
    const std::string part(10'000, 'y');
    f.seek(85'000);
    expect_error(std::errc::file_too_large, [&] { f.writev({part, part}); });
    EXPECT_EQ(f.position(), 100'000u);
    expect_error(std::errc::file_too_large, [&] { f.truncate(200'000); });
    EXPECT_EQ(f.size(), 100'000u);
  });
}

TEST_P(FileError, OfWhatRootMayNotDoEither) {
  inside([] {
    const std::string fixed = "/proc/self/cmdline";
    if (geteuid() == 0) {
      weft::file read_only = weft::open_file("/proc/self/mem");
      expect_error(std::errc::bad_file_descriptor, [&] { read_only.write("x"); });
    }
    EXPECT_THROW(weft::write_file("/proc/self/stat", "x"), weft::io_error);
    EXPECT_THROW(weft::remove(fixed), weft::io_error);
    EXPECT_THROW(weft::make_directory("/proc/none"), weft::io_error);
    EXPECT_THROW(weft::make_temp_file("/proc"), weft::io_error);
    EXPECT_THROW(weft::make_temp_directory("/proc"), weft::io_error);
    expect_error(
        std::errc::operation_not_permitted, [&] { weft::remove(fixed); },
        "cannot remove " + fixed + ": Operation not permitted");
  });
}

TEST_P(FileError, OfNoDescriptorsLeftNamesThePathAndPasses) {
  inside([&] {
    weft::write_file(in("a"), "text", weft::durable::no);
    weft::make_directory(in("d"));
    weft::make_directory(in("d/e"));
    weft::directory_walk walk = weft::walk(in(""));
    const auto finish_walk = [&] {
      while (walk.next()) continue;
    };
    const std::vector<std::function<void()>> calls = {
        [&] { weft::open_file(in("a")); },
        [&] { weft::open_file(in("a"), open_mode::append); },
        [&] { weft::read_file(in("a")); },
        [&] { weft::write_file(in("a"), "new"); },
        [&] { weft::append_file(in("a"), "new"); },
        [&] { weft::copy_file(in("a"), in("b")); },
        [&] { weft::make_temp_file(in("")); },
        [&] { weft::list_directory(in("")); },
        [&] { weft::open_directory(in("")); },
        [&] { weft::walk(in("")); },
        [&] { weft::remove_all(in("d")); },
        [&] { weft::watch(in("a")); },
        finish_walk,
    };
    {
      rlimit before{};
      getrlimit(RLIMIT_NOFILE, &before);
      const rlimit few{open_descriptors() + 20, before.rlim_max};
      setrlimit(RLIMIT_NOFILE, &few);
      std::vector<weft::detail::unique_fd> taken;
      for (;;) {
        taken.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (taken.back().get() < 0) break;
      }
      for (std::size_t i = 0; i < calls.size(); ++i) {
        SCOPED_TRACE("call " + std::to_string(i));
        try {
          calls[i]();
          ADD_FAILURE() << "no error";
        } catch (const weft::io_error& error) {
          EXPECT_EQ(error.code(), std::errc::too_many_files_open);
          EXPECT_NE(std::string(error.what()).find(in("")), std::string::npos) << error.what();
        }
      }
      EXPECT_TRUE(weft::exists(in("a")));  // needs one, or none
      setrlimit(RLIMIT_NOFILE, &before);
    }
    EXPECT_EQ(weft::read_file(in("a")), "text");
    EXPECT_EQ(names(), (std::vector<std::string>{"a", "d"}));
    finish_walk();
    for (const auto& call : calls) call();
    EXPECT_EQ(weft::read_file(in("a")), "newnew");
  });
}

TEST_P(FileError, EmptyBuffersAreNothing) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), both);
    f.write("text");
    f.seek(0);
    EXPECT_EQ(f.read(nullptr, 0), 0u);
    EXPECT_EQ(f.read_at(nullptr, 0, 2), 0u);
    f.write(nullptr, 0);
    f.write_at(nullptr, 0, 9);
    f.writev({});
    f.writev({"", std::string()});
    EXPECT_EQ(f.position(), 0u);
    EXPECT_EQ(f.size(), 4u);
    weft::write_file(in("b"), "");
    weft::append_file(in("b"), "");
    EXPECT_EQ(weft::stat(in("b")).size, 0u);
  });
}

// ---- positions

TEST_P(FilePosition, IsToldAndSet) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), both);
    EXPECT_EQ(f.position(), 0u);
    f.write("0123456789");
    EXPECT_EQ(f.position(), 10u);
    f.seek(3);
    char some[4];
    EXPECT_EQ(f.read(some), 4u);
    EXPECT_EQ(std::string(some, 4), "3456");
    EXPECT_EQ(f.position(), 7u);
    f.read_at(some, 0);
    EXPECT_EQ(f.position(), 7u);
    f.seek(12);
    EXPECT_EQ(f.read(some), 0u);
    f.write("end");
    EXPECT_EQ(weft::read_file(in("a")), std::string("0123456789\0\0end", 15));
    expect_error(std::errc::invalid_argument, [&] { f.seek(UINT64_MAX); });
    EXPECT_EQ(f.position(), 15u);
    f.seek(INT64_MAX);
    EXPECT_EQ(f.read(some), 0u);
    const weft::file_info about = f.info();
    EXPECT_EQ(about.size, 15u);
    EXPECT_TRUE(about.is_regular);
    EXPECT_EQ(about.inode, weft::stat(in("a")).inode);
    f.datasync();
  });
}

TEST_P(FilePosition, BelongsToFilesOnlyAndToOneFiber) {
  inside([&] {
    weft::file null = weft::open_file("/dev/null");
    expect_error(std::errc::invalid_seek, [&] { null.seek(0); });
    expect_error(std::errc::invalid_seek, [&] { null.position(); });
    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    weft::file pipe = weft::open_file(in("pipe"), open_mode::read | open_mode::write);
    expect_error(
        std::errc::invalid_seek, [&] { pipe.seek(0); },
        "cannot set the position of " + in("pipe") + ": Illegal seek");

    weft::file f = weft::open_file(in("a"), both);
    weft::fiber<void> writing;
    {
      const busy_pool blocked;
      writing = weft::go([&] { f.writev({"text", "more"}); });
      until_parked(1 + 4);
      expect_error(std::errc::device_or_resource_busy, [&] { f.seek(0); });
      expect_error(std::errc::device_or_resource_busy, [&] { f.position(); });
      expect_error(std::errc::device_or_resource_busy, [&] { f.writev({"x"}); });
    }
    writing.join();
    EXPECT_EQ(f.position(), 8u);
  });
}

// ---- several buffers at once

TEST_P(FileVector, WritesThemAsIfTheyWereOne) {
  inside([&] {
    std::string expected;
    std::vector<std::string> parts;
    for (int i = 0; i < 3000; ++i) {  // more than one system call takes
      parts.push_back(i % 7 == 0 ? ""
                                 : std::string(static_cast<std::size_t>(i) % 900,
                                               static_cast<char>('a' + i % 26)));
      expected += parts.back();
    }
    parts.push_back(random_bytes(3 << 20));  // and more than one step
    expected += parts.back();
    const std::vector<weft::const_buffer> buffers(parts.begin(), parts.end());

    weft::file f = weft::open_file(in("a"), both);
    f.write("head");
    f.writev(buffers.data(), buffers.size());
    EXPECT_EQ(f.position(), 4 + expected.size());
    EXPECT_TRUE(weft::read_file(in("a")) == "head" + expected);

    weft::file log = weft::open_file(in("log"), open_mode::append | open_mode::create);
    log.writev({"one", std::string_view(" two "), parts[1]});
    log.writev(buffers.data(), buffers.size());
    EXPECT_TRUE(weft::read_file(in("log")) == "one two " + parts[1] + expected);

    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    auto reader = weft::go([&] { return weft::read_file(in("pipe")); });
    weft::open_file(in("pipe"), open_mode::write).writev(buffers.data(), buffers.size());
    EXPECT_TRUE(reader.join() == expected);
  });
}

TEST_P(FileVector, AppendsOfSeveralFibersDoNotMix) {
  inside([&] {
    weft::file log = weft::open_file(in("log"), open_mode::append | open_mode::create);
    weft::group writers;
    for (char c = 'a'; c < 'm'; ++c)
      writers.go([&log, c] {
        const std::string part(50, c);
        for (int i = 0; i < 20; ++i) log.writev({part, part, "\n"});
      });
    writers.wait();
    const std::string all = weft::read_file(in("log"));
    ASSERT_EQ(all.size(), 12u * 20u * 101u);
    for (std::size_t at = 0; at < all.size(); at += 101)
      ASSERT_EQ(all.substr(at, 101), std::string(100, all[at]) + "\n");
  });
}

TEST_P(FileVector, EndsWhenCancelled) {
  inside([&] {
    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    weft::file pipe = weft::open_file(in("pipe"), open_mode::read | open_mode::write);
    const std::string large(300'000, 'x');  // more than fits
    EXPECT_THROW(weft::with_timeout(3ms, [&] { pipe.writev({large, large}); }), weft::timed_out);
    weft::file f = weft::open_file(in("a"), both);
    const busy_pool blocked;
    EXPECT_THROW(weft::with_timeout(3ms, [&] { f.writev({large}); }), weft::timed_out);
    EXPECT_THROW(weft::with_timeout(3ms, [&] { f.datasync(); }), weft::timed_out);
    EXPECT_EQ(f.position(), 0u);
  });
}

// ---- files as streams

TEST_P(FileStream, WorksWithWhatWorksOnStreams) {
  inside([&] {
    const std::string content = random_bytes(200'000);
    weft::write_file(in("a"), content, weft::durable::no);
    weft::file f = weft::open_file(in("a"));
    EXPECT_EQ(weft::read_exactly(f, 1000), content.substr(0, 1000));
    char part[100];
    weft::read_exactly(f, part);
    EXPECT_EQ(std::string(part, 100), content.substr(1000, 100));
    EXPECT_TRUE(weft::read_all(f) == content.substr(1100));
    EXPECT_EQ(weft::read_all(f), "");
    EXPECT_THROW(weft::read_exactly(f, part), weft::eof_error);
    f.seek(0);
    expect_error(std::errc::message_size, [&] { weft::read_all(f, 1000); });
  });
}

// The buffer is on the stack of a fiber that is cancelled: nothing may write to it afterwards.
TEST_P(FileStream, ABufferOnTheStackIsLeftAloneAfterCancellation) {
  inside([&] {
    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    weft::file pipe = weft::open_file(in("pipe"), open_mode::read | open_mode::write);
    weft::write_file(in("a"), random_bytes(2 << 20));
    const int rounds = 200 / slowness + 20;
    int got = 0;
    int cancelled = 0;
    for (int i = 0; i < rounds; ++i) {
      if (i % 8 == 0) drop_from_cache(in("a"));
      weft::event begun;
      auto slow = weft::go([&] {
        char buffer[512];
        std::size_t bytes = 0;
        begun.set();
        try {
          bytes = pipe.read(buffer);
        } catch (const weft::cancelled&) {
          std::fill(std::begin(buffer), std::end(buffer), 'k');
          ++cancelled;
          throw;
        }
        got += static_cast<int>(bytes);
      });
      auto cold = weft::go([&] {
        char buffer[32 * 1024];
        weft::file f = weft::open_file(in("a"));
        while (f.read(buffer) > 0) continue;
      });
      if (i % 2 == 0) begun.wait();
      if (i % 3 == 0) pipe.write("x");
      slow.cancel();
      cold.cancel();
      slow.wait();
      cold.wait();
    }
    // Each byte was read by a call that returned, or is still there.
    const int sent = (rounds + 2) / 3;
    std::string rest(1000, ' ');
    if (got < sent) got += static_cast<int>(pipe.read(rest));
    EXPECT_EQ(got, sent);
    EXPECT_GT(cancelled, 0);
  });
}

}  // namespace
