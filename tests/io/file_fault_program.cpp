// What file_fault_test.py runs under strace or on a full disk.
//
//   copy DIR     once a line has come on stdin: makes and copies 10 MB in every way, lists, removes
//   cached DIR   reads what is cached, between two calls of access() on names that do not exist
//   full DIR     DIR is on a small disk: writes more than fits
//
// Prints "ready" when it is set up, and "ok" at the end.
#include <fcntl.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <weft/weft.hpp>

namespace {

// The streams of the standard library give up when they are interrupted.
void say(const std::string& what) {
  const std::string line = what + '\n';
  while (::write(STDOUT_FILENO, line.data(), line.size()) < 0 && errno == EINTR) continue;
}

void require(bool holds, const std::string& what) {
  if (holds) return;
  say("not so: " + what);
  std::exit(1);
}

std::string random_bytes(std::size_t n) {
  std::mt19937_64 random(42);
  std::string bytes(n, '\0');
  for (char& each : bytes) each = static_cast<char>(random());
  return bytes;
}

void copy(const std::string& folder) {
  const std::string content = random_bytes(10'000'000);
  const std::string a = folder + "/a";
  const std::string b = folder + "/b";
  weft::write_file(a, content);
  weft::file from = weft::open_file(a);
  weft::file to = weft::open_file(
      b, weft::open_mode::write | weft::open_mode::create | weft::open_mode::truncate);
  std::string part(70'000, ' ');
  while (const std::size_t got = from.read(part)) {
    const std::size_t third = got / 3;
    to.write(part.data(), third);
    to.writev({weft::const_buffer(part.data() + third, third),
               weft::const_buffer(part.data() + 2 * third, got - 2 * third)});
  }
  to.sync();
  to.datasync();
  require(weft::read_file(b) == content, "a copy by hand is equal");
  weft::copy_file(b, a);
  require(weft::read_file(a) == content, "copy_file() makes an equal file");
  weft::file log = weft::open_file(b, weft::open_mode::append | weft::open_mode::truncate);
  for (std::size_t at = 0; at < content.size(); at += 1'000'000)
    log.write(content.data() + at, 1'000'000);
  log.close();
  require(weft::read_file(b) == content, "appending makes an equal file");
  weft::open_file(b, weft::open_mode::write).truncate(5);
  require(weft::read_file(b) == content.substr(0, 5), "truncating works");

  const std::string tree = weft::make_temp_directory(folder);
  for (int i = 0; i < 700; ++i) weft::make_directory(tree + "/" + std::to_string(i));
  std::set<std::string> names;
  for (const auto& each : weft::open_directory(tree)) names.insert(each.name);
  require(names.size() == 700, "every entry is handed out");
  require(weft::list_directory(tree).size() == 700, "every entry is listed");
  std::size_t walked = 0;
  for (const auto& each : weft::walk(tree)) walked += each.kind == weft::entry_kind::directory;
  require(walked == 700, "every entry is walked to");
  weft::path_watcher changes = weft::watch(tree);
  weft::make_directory(tree + "/new");
  require(changes.next().kind == weft::file_change::created, "a change is told");
  require(weft::remove_all(tree) == 702, "everything is removed");
}

void cached(const std::string& folder) {
  const std::string path = folder + "/a";
  const std::string content(100'000, 'x');
  weft::write_file(path, content);
  require(weft::read_file(path) == content, "it is read");
  ::access("/weft-begin", F_OK);
  for (int i = 0; i < 200; ++i) {
    require(weft::read_file(path).size() == content.size(), "it is read again");
    weft::file f = weft::open_file(path);
    char some[100];
    require(f.read(some) == 100 && f.read_at(some, 5000) == 100, "it is read in parts");
    require(weft::stat(path).size == content.size(), "its size is told");
  }
  ::access("/weft-end", F_OK);
}

template <class F>
void require_full(F&& f, const std::string& what) {
  try {
    f();
  } catch (const weft::io_error& error) {
    require(error.code() == std::errc::no_space_on_device, error.what());
    require(std::string(error.what()).find(what) != std::string::npos, error.what());
    return;
  }
  require(false, "no room for " + what);
}

void full(const std::string& folder) {
  const std::string a = folder + "/a";
  const std::string large = random_bytes(4 << 20);
  weft::write_file(a, "old");
  weft::write_file("/tmp/weft-large", large);
  require_full([&] { weft::write_file(a, large); }, a);
  require_full([&] { weft::copy_file("/tmp/weft-large", a); }, a);
  weft::remove("/tmp/weft-large");
  require(weft::read_file(a) == "old", "the old file stands");
  require(weft::list_directory(folder).size() == 1, "no temporary file is left");
  weft::file b = weft::open_file(folder + "/b", weft::open_mode::write | weft::open_mode::create);
  require_full([&] { b.write(large); }, "/b");
  require(b.position() == b.size() && b.size() > 0, "what was written is told");
  b.truncate(0);
  b.seek(0);
  b.write("again");
  b.sync();
  require(weft::read_file(folder + "/b") == "again", "there is room again");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  const std::string folder = argv[2];
#ifdef __linux__
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
#endif
  weft::options options;
  options.workers = what == "cached" ? 1 : 2;
  weft::run(options, [&] {
    if (what == "copy") {
      weft::stat(folder);  // what is opened once is open now
      say("ready");
      std::string line;
      std::getline(std::cin, line);
      copy(folder);
    } else if (what == "cached") {
      cached(folder);
    } else {
      full(folder);
    }
  });
  say("ok");
} catch (const std::exception& error) {
  say(error.what());
  return 1;
}
