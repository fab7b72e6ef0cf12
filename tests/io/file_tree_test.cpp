// Directories, names and what stat tells.
#include <weft/file.hpp>

#include <chrono>
#include <filesystem>
#include <string>

#include "io/file_support.hpp"

namespace {

using namespace weft_test;
using weft::open_mode;

class FileTree : public file_fixture {};
FIBER_SUITE(FileTree);

TEST_P(FileTree, StatTellsKindSizeTimeAndMode) {
  inside([&] {
    weft::write_file(in("a"), "12345", weft::durable::no);
    std::filesystem::permissions(in("a"), std::filesystem::perms(0751));
    for (int round = 0; round < 2; ++round) {  // cached, and by the pool's way
      const weft::file_info file = weft::stat(in("a"));
      EXPECT_EQ(file.size, 5u);
      EXPECT_TRUE(file.is_regular);
      EXPECT_FALSE(file.is_directory);
      EXPECT_EQ(file.mode, 0751u);
      const auto age = std::chrono::system_clock::now() - file.modified;
      EXPECT_LT(age, 60s);
      EXPECT_GT(age, -60s);
    }
    EXPECT_TRUE(weft::stat(in(".")).is_directory);
    EXPECT_FALSE(weft::stat("/proc/self/status").is_directory);
    EXPECT_FALSE(weft::stat("/dev/null").is_regular);
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::stat(in("none")); },
        "cannot stat " + in("none") + ": No such file or directory");
    expect_error(std::errc::not_a_directory, [&] { weft::stat(in("a/b")); });
  });
}

TEST_P(FileTree, ExistsFollowsLinks) {
  inside([&] {
    weft::write_file(in("a"), "", weft::durable::no);
    std::filesystem::create_symlink("a", in("link"));
    std::filesystem::create_symlink("none", in("dangling"));
    EXPECT_TRUE(weft::exists(in("a")));
    EXPECT_TRUE(weft::exists(in(".")));
    EXPECT_TRUE(weft::exists(in("link")));
    EXPECT_FALSE(weft::exists(in("dangling")));
    EXPECT_FALSE(weft::exists(in("none")));
    EXPECT_FALSE(weft::exists(in("a/below")));
    EXPECT_FALSE(weft::exists(""));
    expect_error(std::errc::invalid_argument, [] { weft::exists(std::string("a\0", 2)); });
  });
}

TEST_P(FileTree, RemovesFilesLinksAndEmptyDirectories) {
  inside([&] {
    weft::write_file(in("a"), "", weft::durable::no);
    std::filesystem::create_symlink("a", in("link"));
    weft::make_directory(in("d"));
    weft::write_file(in("d/b"), "", weft::durable::no);
    expect_error(std::errc::directory_not_empty, [&] { weft::remove(in("d")); });
    weft::remove(in("link"));
    EXPECT_TRUE(weft::exists(in("a")));
    weft::remove(in("a"));
    weft::remove(in("d/b"));
    weft::remove(in("d"));
    EXPECT_TRUE(names().empty());
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::remove(in("a")); },
        "cannot remove " + in("a") + ": No such file or directory");
  });
}

TEST_P(FileTree, RenameReplaces) {
  inside([&] {
    weft::write_file(in("a"), "a", weft::durable::no);
    weft::write_file(in("b"), "b", weft::durable::no);
    weft::rename(in("a"), in("b"));
    EXPECT_EQ(names(), std::vector<std::string>{"b"});
    EXPECT_EQ(weft::read_file(in("b")), "a");
    weft::make_directory(in("d"));
    weft::rename(in("b"), in("d/c"));
    EXPECT_EQ(weft::list_directory(in("d")), std::vector<std::string>{"c"});
    expect_error(
        std::errc::no_such_file_or_directory, [&] { weft::rename(in("a"), in("x")); },
        "cannot rename " + in("a") + " to " + in("x") + ": No such file or directory");
    expect_error(std::errc::invalid_argument,
                 [&] { weft::rename(in("d"), std::string("x\0y", 3)); });
  });
}

TEST_P(FileTree, MakesDirectories) {
  inside([&] {
    weft::make_directory(in("d"));
    expect_error(std::errc::file_exists, [&] { weft::make_directory(in("d")); });
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::make_directory(in("x/y")); });
    weft::make_directories(in("d"));
    weft::make_directories(in("x/y/../y//z/"));
    EXPECT_TRUE(weft::stat(in("x/y/z")).is_directory);
    weft::make_directories("/");
    weft::write_file(in("file"), "", weft::durable::no);
    expect_error(std::errc::file_exists, [&] { weft::make_directories(in("file")); });
    expect_error(std::errc::not_a_directory, [&] { weft::make_directories(in("file/below/it")); });
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::make_directories(""); });
  });
}

TEST_P(FileTree, ListsSortedNames) {
  inside([&] {
    EXPECT_TRUE(names().empty());
    std::vector<std::string> expected;
    for (int i = 100; i < 400; ++i) {
      expected.push_back("f" + std::to_string(i));
      std::filesystem::create_directory(in(expected.back()));
    }
    expected.insert(expected.begin(), ".hidden");
    weft::write_file(in(".hidden"), "", weft::durable::no);
    EXPECT_EQ(names(), expected);
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::list_directory(in("none")); });
    expect_error(std::errc::not_a_directory, [&] { weft::list_directory(in(".hidden")); });
  });
}

TEST_P(FileTree, TemporaryFilesAreNewPrivateAndOurs) {
  inside([&] {
    weft::file first = weft::make_temp_file(in("."));
    weft::file second = weft::make_temp_file(in("./"));
    EXPECT_NE(first.path(), second.path());
    first.write("text");
    std::string back(4, ' ');
    EXPECT_EQ(first.read_at(back, 0), 4u);
    EXPECT_EQ(back, "text");
    EXPECT_EQ(weft::stat(first.path()).mode, 0600u);
    EXPECT_EQ(names().size(), 2u);
    weft::remove(first.path());
    weft::remove(second.path());
    weft::file third = weft::make_temp_file();
    weft::remove(third.path());
    EXPECT_TRUE(names().empty());
    expect_error(std::errc::no_such_file_or_directory, [&] { weft::make_temp_file(in("none")); });
  });
}

TEST(FileOutside, SaysThatItNeedsAFiber) {
  EXPECT_THROW(weft::read_file("/dev/null"), std::logic_error);
  EXPECT_THROW(weft::write_file("/dev/null", "x"), std::logic_error);
  EXPECT_THROW(weft::open_file("/dev/null"), std::logic_error);
  EXPECT_THROW(weft::exists("/dev/null"), std::logic_error);
  weft::file none;
  none.close();
}

}  // namespace
