// Names of files: what paths are made of, and names that are not taken yet.
// Called on threads of the pool, since they look at the file system; errors are -errno.
#pragma once
#include <string>

namespace weft::detail {

// All up to the last slash, with it; empty for a name alone. Another name can be put behind it.
std::string directory_of(const std::string& path);

// The path behind the symbolic links that `path` ends in; the file itself need not exist. Returns
// 0, or more_than_a_path at a link of /proc, which leads to an open file, or an error.
inline constexpr int more_than_a_path = 1;
int follow_links(const std::string& path, std::string& target);

// Makes a file whose name is the prefix and 16 digits. The descriptor, or an error.
int make_unique_file(const std::string& prefix, int flags, unsigned permissions, std::string& path);

// The same for a directory that only the user may access. 0, or an error.
int make_unique_directory(const std::string& prefix, std::string& path);

}  // namespace weft::detail
