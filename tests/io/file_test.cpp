// Open files, and files as a whole. Cancellation is file_cancel_test.cpp, names file_tree_test.cpp.
#include <weft/file.hpp>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
using weft::open_mode;

class File : public file_fixture {};
FIBER_SUITE(File);
class WholeFile : public file_fixture {};
FIBER_SUITE(WholeFile);

// ---- open files

TEST_P(File, ReadsAndWritesAtThePosition) {
  inside([&] {
    weft::file out = weft::open_file(in("a"), open_mode::write | open_mode::create);
    out.write("hello ");
    out.write("world", 5);
    out.close();
    weft::file back = weft::open_file(in("a"));
    char some[8];
    EXPECT_EQ(back.read(some, 8), 8u);
    EXPECT_EQ(std::string(some, 8), "hello wo");
    EXPECT_EQ(back.read(some), 3u);
    EXPECT_EQ(std::string(some, 3), "rld");
    EXPECT_EQ(back.read(some), 0u);
    EXPECT_EQ(back.read(some), 0u);
  });
}

TEST_P(File, TakesEveryContainerOfBytes) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write | open_mode::create);
    f.write(std::string("ab"));
    f.write(std::string_view("cd"));
    f.write(std::vector<char>{'e'});
    f.write(std::vector<unsigned char>{'f'});
    f.write(std::array<std::byte, 1>{std::byte{'g'}});
    const char* pointer = "h";
    f.write(pointer);
    const char zero[] = "i\0j";  // only the last NUL is not text
    f.write(zero);
    char raw[2] = {'k', '\0'};
    f.write(raw);
    EXPECT_EQ(f.size(), 13u);
    std::string all(13, '?');
    EXPECT_EQ(f.read_at(all, 0), 13u);
    EXPECT_EQ(all, std::string("abcdefghi\0jk\0", 13));
    std::array<std::byte, 2> two{};
    EXPECT_EQ(f.read_at(two, 1), 2u);
    EXPECT_EQ(two[1], std::byte{'c'});
    std::vector<unsigned char> one(1);
    EXPECT_EQ(f.read_at(one, 3), 1u);
    EXPECT_EQ(one[0], 'd');
  });
}

TEST_P(File, OffsetsLeaveThePositionAlone) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write | open_mode::create);
    f.write("0123456789");
    f.write_at("xy", 2);
    f.write_at("end", 12);  // leaves a hole
    char some[16];
    EXPECT_EQ(f.read_at(some, 4, 1), 4u);
    EXPECT_EQ(std::string(some, 4), "1xy4");
    EXPECT_EQ(f.read_at(some, 16, 9), 6u);
    EXPECT_EQ(std::string(some, 6), std::string("9\0\0end", 6));
    EXPECT_EQ(f.read_at(some, 4, 15), 0u);
    EXPECT_EQ(f.read_at(some, 4, 1u << 30), 0u);
    EXPECT_EQ(f.read_at(some, 0, 0), 0u);
    f.write("A");  // still at 10
    EXPECT_EQ(weft::read_file(in("a")), std::string("01xy456789A\0end", 15));
    expect_error(std::errc::invalid_argument, [&] { f.read_at(some, 1, UINT64_MAX); });
  });
}

TEST_P(File, TruncatesGrowsAndTellsItsSize) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write | open_mode::create);
    f.write("0123456789");
    f.truncate(4);
    EXPECT_EQ(f.size(), 4u);
    f.truncate(6);
    EXPECT_EQ(f.size(), 6u);
    f.sync();
    EXPECT_EQ(weft::read_file(in("a")), std::string("0123\0\0", 6));
  });
}

// The kind of a file is not asked for when it is opened to read.
TEST_P(File, TheFirstReadFindsOutWhatItReads) {
  inside([&] {
    char room[64] = {};
    weft::write_file(in("a"), "twelve bytes", weft::durable::no);
    weft::file whole = weft::open_file(in("a"));
    EXPECT_EQ(whole.read(room, 0), 0u);
    EXPECT_EQ(whole.read(room, 12), 12u);
    EXPECT_EQ(whole.read(room, 12), 0u);
    weft::file more = weft::open_file(in("a"));
    EXPECT_EQ(more.read(room, sizeof room), 12u);
    EXPECT_EQ(more.read_at(room, sizeof room, 7), 5u);
    EXPECT_EQ(std::string(room, 12),
              "bytes"
              "e bytes");
    EXPECT_EQ(weft::open_file(in("a")).read_at(room, 4, 12), 0u);

    EXPECT_EQ(weft::open_file("/dev/null").read(room, 8), 0u);
    weft::file zeros = weft::open_file("/dev/zero");
    EXPECT_EQ(zeros.read(room, sizeof room), sizeof room);
    EXPECT_EQ(zeros.read(room, sizeof room), sizeof room);
    weft::file told = weft::open_file("/proc/self/status");
    EXPECT_EQ(told.read(room, 5), 5u);
    EXPECT_EQ(std::string(room, 5), "Name:");
    expect_error(std::errc::bad_file_descriptor, [&] { whole.write("no"); });

    ASSERT_EQ(mkfifo(in("pipe").c_str(), 0600), 0);
    weft::file from = weft::open_file(in("pipe"));
    expect_error(std::errc::invalid_seek, [&] { from.read_at(room, 4, 0); });
    auto writer = weft::go([&] { weft::open_file(in("pipe"), open_mode::write).write("through"); });
    EXPECT_EQ(from.read(room, sizeof room), 7u);
    EXPECT_EQ(from.read(room, sizeof room), 0u);
    writer.join();
  });
}

TEST_P(File, ModesMeanWhatTheySay) {
  inside([&] {
    weft::write_file(in("a"), "old", weft::durable::no);
    weft::open_file(in("a"), open_mode::write).write("N");
    EXPECT_EQ(weft::read_file(in("a")), "Nld");
    weft::open_file(in("a"), open_mode::append).write("+");
    EXPECT_EQ(weft::read_file(in("a")), "Nld+");
    weft::open_file(in("a"), open_mode::write | open_mode::truncate).write("t");
    EXPECT_EQ(weft::read_file(in("a")), "t");
    weft::open_file(in("new"), open_mode::write | open_mode::exclusive, 0600).write("x");
    EXPECT_EQ(weft::stat(in("new")).mode, 0600u);

    const auto open = [&](const char* name, open_mode mode) {
      return [this, name, mode] { weft::open_file(in(name), mode); };
    };
    expect_error(std::errc::file_exists, open("a", open_mode::write | open_mode::exclusive));
    expect_error(std::errc::no_such_file_or_directory, open("none", open_mode::write));
    expect_error(std::errc::no_such_file_or_directory, open("none", open_mode::append));
    expect_error(std::errc::invalid_argument, open("a", open_mode::read | open_mode::truncate));
    expect_error(std::errc::is_a_directory, open(".", open_mode::read));
    weft::file reader = weft::open_file(in("a"));
    expect_error(std::errc::bad_file_descriptor, [&] { reader.write("no"); });
    weft::file appender = weft::open_file(in("a"), open_mode::append);
    expect_error(std::errc::invalid_argument, [&] { appender.write_at("no", 0); });
    char c;
    expect_error(std::errc::bad_file_descriptor, [&] { appender.read(&c, 1); });
  });
}

TEST_P(File, ClosedMovedFromAndEmptyFilesSayBadDescriptor) {
  inside([&] {
    weft::file f = weft::open_file(in("a"), open_mode::read | open_mode::write | open_mode::create);
    weft::file moved = std::move(f);
    EXPECT_TRUE(moved);
    EXPECT_EQ(moved.path(), in("a"));
    weft::file never;
    moved.close();
    moved.close();
    for (weft::file* each : {&f, &moved, &never}) {
      char c = 0;
      EXPECT_FALSE(*each);
      expect_error(std::errc::bad_file_descriptor, [&] { each->read(&c, 1); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->read_at(&c, 1, 0); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->write(&c, 1); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->write_at(&c, 1, 0); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->size(); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->truncate(0); });
      expect_error(std::errc::bad_file_descriptor, [&] { each->sync(); });
      each->close();
    }
  });
}

TEST_P(File, OutlivesTheFiberAndTheRunThatOpenedIt) {
  weft::file kept = inside([&] {
    auto opened = weft::go([&] {
      weft::file f =
          weft::open_file(in("a"), open_mode::read | open_mode::write | open_mode::create);
      f.write("kept");
      return f;
    });
    weft::go([&] {  // a result that nobody takes
      weft::file f = weft::open_file(in("b"), open_mode::write | open_mode::create);
      f.write("dropped");
      return f;
    })
        .wait();
    return opened.join();
  });
  EXPECT_THROW(kept.size(), std::logic_error);
  inside([&] {
    std::string back(4, ' ');
    EXPECT_EQ(kept.read_at(back, 0), 4u);
    EXPECT_EQ(back, "kept");
  });
}  // closed on a plain thread

TEST_P(File, ManyFibersReadOneFile) {
  const std::string content = random_bytes(1 << 20);
  inside([&] {
    weft::write_file(in("a"), content, weft::durable::no);
    weft::file f = weft::open_file(in("a"));
    weft::group readers;
    for (std::size_t i = 0; i < 64; ++i)
      readers.go([&f, &content, i] {
        std::string part(10'000, ' ');
        for (std::size_t at = i * 1000; at + part.size() < content.size(); at += 90'001) {
          ASSERT_EQ(f.read_at(part, at), part.size());
          ASSERT_EQ(content.compare(at, part.size(), part), 0);
        }
      });
    readers.wait();
  });
}

TEST_P(File, AppendsOfManyFibersStayWhole) {
  constexpr int sizes = 20;
  constexpr int lines = 25;
  inside([&] {
    weft::file shared = weft::open_file(in("log"), open_mode::append | open_mode::create);
    weft::group writers;
    for (int i = 0; i < sizes; ++i)
      writers.go([&, i] {
        const std::string line = std::string(static_cast<std::size_t>(i + 1), 'x') + '\n';
        for (int n = 0; n < lines; ++n) {
          if (n % 2 == 0)
            weft::append_file(in("log"), line);
          else
            shared.write(line);
        }
      });
    writers.wait();
  });
  std::ifstream log(in("log"));
  std::vector<int> seen(sizes + 1);
  for (std::string line; std::getline(log, line);) {
    ASSERT_EQ(line.find_first_not_of('x'), std::string::npos);
    ASSERT_LE(line.size(), seen.size() - 1);
    ++seen[line.size()];
  }
  for (int i = 1; i <= sizes; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], lines);
}

TEST_P(File, CachedDataNeedsNoThread) {
  const std::string content = random_bytes(300'000);
  std::ofstream(in("a")) << content;
  if (!reads_in_place(in("a"))) GTEST_SKIP() << "this file system has no RWF_NOWAIT";
  inside([&] {
    EXPECT_FALSE(weft::exists(in("none")));  // now it is known to be missing
    const busy_pool blocked;
    EXPECT_EQ(weft::read_file(in("a")), content);
    weft::file f = weft::open_file(in("a"));
    std::string some(1000, ' ');
    EXPECT_EQ(f.read(some), 1000u);
    EXPECT_EQ(f.read_at(some, 250'000), 1000u);
    EXPECT_EQ(content.compare(250'000, 1000, some), 0);
    EXPECT_EQ(f.size(), content.size());
    f.close();
    EXPECT_TRUE(weft::exists(in("a")));
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::read_file(in("none")); });
  });
}

TEST_P(File, ColdDataArrivesWhole) {
  const std::string content = random_bytes(3 << 20);
  inside([&] {
    weft::write_file(in("a"), content);  // synced: dirty pages cannot be dropped
    for (int round = 0; round < 3; ++round) {
      drop_from_cache(in("a"));
      weft::file f = weft::open_file(in("a"));
      std::string back(content.size() + 10, ' ');
      EXPECT_EQ(f.read(back), content.size());
      EXPECT_EQ(back.compare(0, content.size(), content), 0);
      drop_from_cache(in("a"));
      EXPECT_EQ(weft::read_file(in("a")), content);
    }
  });
}

TEST_P(File, OthersRunWhileOneReadsWithoutEnd) {
  inside([&] {
    weft::write_file(in("a"), random_bytes(4096), weft::durable::no);
    std::atomic<int> ticks{0};
    auto clock = weft::go([&] {
      for (weft::ticker every(1ms); ticks < 5; ++ticks) every.next();
    });
    weft::file f = weft::open_file(in("a"));
    char some[16];
    while (ticks < 3) f.read_at(some, 0);
    while (ticks < 5) weft::read_file(in("a"));
    clock.join();
  });
}

// ---- files as a whole

TEST_P(WholeFile, ComesBackAsItWasWritten) {
  inside([&] {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096},
          std::size_t{262'144}, std::size_t{10'000'000}}) {
      const std::string content = random_bytes(size);
      weft::write_file(in("a"), content, weft::durable::no);
      EXPECT_TRUE(weft::read_file(in("a")) == content) << size;
    }
    weft::write_file(in("a"), "text literal");
    EXPECT_EQ(weft::read_file(in("a")), "text literal");
    weft::write_file(std::filesystem::path(in("b")), std::vector<unsigned char>{1, 0, 2});
    EXPECT_EQ(weft::read_file(in("b")), std::string("\1\0\2", 3));
    weft::append_file(in("b"), "+");
    weft::append_file(in("c"), std::string_view("made"));
    EXPECT_EQ(weft::read_file(in("b")), std::string("\1\0\2+", 4));
    EXPECT_EQ(weft::read_file(in("c")), "made");
  });
}

TEST_P(WholeFile, ErrorsNameOperationAndPath) {
  inside([&] {
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::read_file(in("none")); },
        "cannot read " + in("none") + ": No such file or directory");
    expect_error(std::errc::is_a_directory, [&] { weft::read_file(in(".")); });
    expect_error(std::errc::is_a_directory, [&] { weft::write_file(in("."), "x"); });
    expect_error(std::errc::is_a_directory, [&] { weft::append_file(in("."), "x"); });
    expect_error(std::errc::no_such_file_or_directory,
                 [&] { weft::write_file(in("no/where"), "x"); });
    expect_error(
        std::errc::invalid_argument, [&] { weft::read_file(std::string("a\0b", 3)); },
        "cannot read a\\0b: Invalid argument");
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::read_file(""); });
    if (geteuid() != 0) {
      weft::open_file(in("secret"), open_mode::write | open_mode::create, 0);
      expect_error(std::errc::permission_denied, [&] { weft::read_file(in("secret")); });
      expect_error(std::errc::permission_denied, [&] { weft::write_file(in("secret"), "x"); });
      expect_error(std::errc::permission_denied, [&] { weft::write_file("/etc/weft", "x"); });
    }
  });
}

TEST_P(WholeFile, IsReadWhateverItTellsAboutItsSize) {
  inside([] {
    EXPECT_NE(weft::read_file("/proc/self/status").find("Threads:"), std::string::npos);
    EXPECT_GT(weft::read_file("/proc/self/maps").size(), 1000u);
    EXPECT_EQ(weft::read_file("/dev/null"), "");
    weft::write_file("/dev/null", "gone");
    weft::append_file("/dev/null", "gone");
    EXPECT_FALSE(weft::stat("/dev/null").is_regular);
  });
}

TEST_P(WholeFile, ReplacingKeepsModeLinksAndNeighbours) {
  inside([&] {
    weft::write_file(in("a"), "old");
    const mode_t mask = umask(0);
    umask(mask);
    EXPECT_EQ(weft::stat(in("a")).mode, 0666u & ~mask);
    std::filesystem::permissions(in("a"), std::filesystem::perms(0640));
    std::filesystem::create_symlink("a", in("link"));
    std::filesystem::create_symlink("made-by-link", in("dangling"));
    weft::write_file(in("link"), "new");
    weft::write_file(in("dangling"), "there now");
    EXPECT_EQ(weft::stat(in("a")).mode, 0640u);
    EXPECT_EQ(weft::read_file(in("a")), "new");
    EXPECT_EQ(weft::read_file(in("made-by-link")), "there now");
    EXPECT_TRUE(std::filesystem::is_symlink(in("link")));
    std::filesystem::create_symlink("circle", in("circle"));
    expect_error(std::errc::too_many_symbolic_link_levels,
                 [&] { weft::write_file(in("circle"), "x"); });
    EXPECT_EQ(names(),
              (std::vector<std::string>{"a", "circle", "dangling", "link", "made-by-link"}));
  });
}

// Such as /dev/stdout, which the shell has led to a file: what comes next must find that file.
TEST_P(WholeFile, IsWrittenInPlaceThroughALinkToAnOpenFile) {
  inside([&] {
    const int open = ::open(in("out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::symlink(("/proc/self/fd/" + std::to_string(open)).c_str(), in("link").c_str()), 0);
    weft::write_file(in("link"), "text");
    char text[9] = {};
    EXPECT_EQ(::pread(open, text, 8, 0), 4);
    EXPECT_STREQ(text, "text");
    ::close(open);
  });
}

TEST_P(WholeFile, ReadersSeeTheOldOrTheNewNeverAMix) {
  inside([&] {
    const auto version = [](int i) { return std::string(200'000, static_cast<char>('a' + i)); };
    weft::write_file(in("a"), version(0), weft::durable::no);
    std::atomic<bool> over{false};
    weft::group readers;
    for (int i = 0; i < 3; ++i)
      readers.go([&] {
        while (!over) {
          const std::string seen = weft::read_file(in("a"));
          ASSERT_EQ(seen.size(), 200'000u);
          ASSERT_EQ(seen.find_first_not_of(seen[0]), std::string::npos);
        }
      });
    for (int i = 1; i < 20; ++i)
      weft::write_file(in("a"), version(i), i % 5 == 0 ? weft::durable::yes : weft::durable::no);
    over = true;
    readers.wait();
    EXPECT_EQ(names(), std::vector<std::string>{"a"});
  });
}

TEST_P(WholeFile, AFailedWriteLeavesTheOldFileAndNothingElse) {
  inside([&] {
    weft::write_file(in("a"), "old");
    {
      const file_size_limit limit(1 << 20);
      expect_error(std::errc::file_too_large,
                   [&] { weft::write_file(in("a"), std::string(3 << 20, 'x')); });
    }
    EXPECT_EQ(weft::read_file(in("a")), "old");
    EXPECT_EQ(names(), std::vector<std::string>{"a"});
  });
}

}  // namespace
