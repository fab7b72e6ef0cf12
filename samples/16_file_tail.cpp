// Prints the lines of a file as they are added, like tail -F: also after it was truncated, rotated
// or replaced. Without an argument it shows that on a file of its own.
#include <functional>
#include <iostream>
#include <string>
#include <weft/weft.hpp>

using line_taker = std::function<void(const std::string&)>;

void follow(const std::string& path, const line_taker& take) {
  weft::path_watcher changes = weft::watch(path);  // before the first look, so that none is missed
  weft::file log = weft::open_file(path);
  std::string text;
  const auto take_lines = [&] {
    if (log.size() < log.position()) log.seek(0);  // it was truncated
    text += weft::read_all(log);
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      take(text.substr(0, end));
  };
  take_lines();
  for (const weft::file_event& change : changes) {
    take_lines();
    if (change.kind == weft::file_change::modified || !weft::exists(path)) continue;
    weft::file now = weft::open_file(path);
    if (now.info().inode == log.info().inode) continue;
    log = std::move(now);  // another file has the name
    text.clear();
    take_lines();
  }
}

void demo() {
  const std::string folder = weft::make_temp_directory();
  const std::string path = folder + "/app.log";
  weft::write_file(path, "there before\n");
  {
    const weft::channel<std::string> lines;
    weft::group tail;
    tail.go([&] { follow(path, [&](const std::string& line) { lines.send(line); }); });
    const auto show = [&] { std::cout << *lines.recv() << '\n'; };
    show();
    weft::append_file(path, "appended\n");
    show();
    weft::append_file(path, "in two ");
    weft::append_file(path, "parts\n");
    show();
    weft::open_file(path, weft::open_mode::write | weft::open_mode::truncate).write("truncated\n");
    show();
    weft::rename(path, path + ".1");
    weft::append_file(path, "rotated\n");
    show();
    weft::write_file(path, "replaced\n");
    show();
    tail.cancel();
  }
  std::cout << "Removed " << weft::remove_all(folder) << " files and directories.\n";
}

int main(int argc, char** argv) try {
  weft::run([&] {
    if (argc > 1)
      follow(argv[1], [](const std::string& line) { std::cout << line << std::endl; });
    else
      demo();
  });
} catch (const weft::io_error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
