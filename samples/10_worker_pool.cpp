// Many jobs, a few at a time: counts the lines of all headers in a directory, eight files at once,
// on all cores. Each job is plain blocking code. Were one to fail, by an unreadable file say, map()
// would stop the others and throw its exception.
#include <algorithm>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>
#include <weft/weft.hpp>

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "/usr/include";
  weft::run([&] {
    std::vector<std::string> headers;
    for (const std::string& name : weft::list_directory(folder))
      if (name.size() > 2 && name.substr(name.size() - 2) == ".h")
        headers.push_back(folder + "/" + name);

    const std::vector<long> lines = weft::map(headers, 8, [](const std::string& path) {
      const std::string text = weft::read_file(path);
      return static_cast<long>(std::count(text.begin(), text.end(), '\n'));
    });

    std::cout << std::accumulate(lines.begin(), lines.end(), 0L) << " lines in " << lines.size()
              << " headers of " << folder << '\n';
  });
}
