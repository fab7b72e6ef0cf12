// Directories and walks through them, on top of file_list.hpp.
// Called by fibers; close() and the destructors by any thread.
//
// (1) Who comes last lets go of the descriptors (file_use.hpp).
// (2) What a trip to the pool brings is kept before anything is thrown: cancellation loses nothing.
#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <vector>
#include <weft/file.hpp>

#include "io/file_list.hpp"
#include "io/file_pool.hpp"
#include "io/file_state.hpp"
#include "io/file_use.hpp"

namespace weft {
namespace detail {
namespace {

std::string with_slash(const std::string& path) {
  return path.empty() || path.back() == '/' ? path : path + '/';
}

// What both have in common. `State` has let_go().
template <class State>
class use {
 public:
  explicit use(State* of) : of_(referred(of)) {
    if (const int error = of_.sole.enter()) throw_file_error(error, "list", of_.path);
  }
  ~use() {
    if (of_.sole.leave()) of_.let_go();
  }
  use(const use&) = delete;
  use& operator=(const use&) = delete;

 private:
  static State& referred(State* of) {
    if (of == nullptr)
      throw_file_error(-EBADF, "list", "(no directory: default-made or moved from)");
    return *of;
  }
  State& of_;
};

}  // namespace

class directory_state {
 public:
  explicit directory_state(const std::string& opened_by)
      : path(opened_by), prefix(with_slash(path)) {}
  void let_go() noexcept { list.close(); }

  const std::string path;
  const std::string prefix;
  sole_use sole;
  name_list list;
};

class walk_state {
 public:
  walk_state(const std::string& root, const walk_options& how) : path(root), options(how) {}
  void let_go() noexcept { levels.clear(); }

  struct level {
    name_list list;
    std::string prefix;
    dev_t device = 0;
    ino_t inode = 0;
  };

  // Opens the directory that is to be entered, and reads its first entries.
  void enter();
  bool is_on_the_way(const level& fresh) const noexcept;

  const std::string path;
  const walk_options options;
  sole_use sole;
  std::vector<std::unique_ptr<level>> levels;
  bool entering = true;
  std::string target = path;       // what is to be entered,
  std::string target_name = path;  // and its name in the last level
};

bool walk_state::is_on_the_way(const level& fresh) const noexcept {
  for (const auto& each : levels)
    if (each->device == fresh.device && each->inode == fresh.inode) return true;
  return false;
}

void walk_state::enter() {
  using links = name_list::links;
  const links root = levels.empty() ? links::last : links::none;
  const links followed = options.follow_links ? links::all : root;
  const int parent = levels.empty() ? AT_FDCWD : levels.back()->list.fd();
  auto fresh = std::make_unique<level>();
  fresh->prefix = with_slash(target);
  const int error = in_file_pool("list", [&] {
    if (const int failed = fresh->list.open(parent, target_name.c_str(), followed)) return failed;
    struct ::stat about;
    if (const int failed = calls::status(fresh->list.fd(), about)) return failed;
    fresh->device = about.st_dev;
    fresh->inode = about.st_ino;
    return is_on_the_way(*fresh) ? -ELOOP : fresh->list.read_batch();
  });
  entering = false;
  if (error == 0)
    levels.push_back(std::move(fresh));
  else if (error != -ELOOP || !fresh->list.is_open())
    if (levels.empty() || !options.skip_unreadable) throw_file_error(error, "list", target);
}

void directory_closer::operator()(directory_state* state) const noexcept { delete state; }
void directory_closer::operator()(walk_state* state) const noexcept { delete state; }

}  // namespace detail

directory open_directory(const std::string& path) {
  detail::begin_path_call("open_directory()", "list", path);
  directory made;
  made.state_.reset(new detail::directory_state(path));
  detail::name_list& list = made.state_->list;
  const int error = detail::in_file_pool("list", [&] {
    const int failed = list.open(AT_FDCWD, path.c_str(), detail::name_list::links::last);
    return failed != 0 ? failed : list.read_batch();
  });
  if (error != 0) detail::throw_file_error(error, "list", path);
  return made;
}

std::optional<directory_entry> directory::next() {
  detail::begin_io("directory::next()");
  const detail::use<detail::directory_state> held(state_.get());
  detail::name_list& list = state_->list;
  for (;;) {
    if (const char* name = list.next())
      return directory_entry{name, state_->prefix + name, list.kind()};
    if (list.at_end()) return std::nullopt;
    const int error = detail::in_file_pool("list", [&] { return list.read_batch(); });
    if (error != 0) detail::throw_file_error(error, "list", state_->path);
  }
}

void directory::close() noexcept {
  if (state_ != nullptr && state_->sole.close()) state_->let_go();
}

const std::string& directory::path() const {
  if (state_ == nullptr)
    detail::throw_file_error(-EBADF, "name", "(no directory: default-made or moved from)");
  return state_->path;
}

directory_walk walk(const std::string& path, const walk_options& options) {
  detail::begin_path_call("walk()", "list", path);
  directory_walk made;
  made.state_.reset(new detail::walk_state(path, options));
  made.state_->enter();
  return made;
}

std::optional<walk_entry> directory_walk::next() {
  detail::begin_io("directory_walk::next()");
  const detail::use<detail::walk_state> held(state_.get());
  detail::walk_state& all = *state_;
  if (all.entering) all.enter();
  while (!all.levels.empty()) {
    detail::walk_state::level& here = *all.levels.back();
    if (const char* name = here.list.next()) {
      walk_entry found;
      found.name = name;
      found.path = here.prefix + name;
      found.kind = here.list.kind();
      found.depth = all.levels.size() - 1;
      all.entering = found.kind == entry_kind::directory && found.depth < all.options.max_depth;
      if (all.entering) {
        all.target = found.path;
        all.target_name = found.name;
      }
      return found;
    }
    int error = 0;
    if (!here.list.at_end())
      error = detail::in_file_pool("list", [&] { return here.list.read_batch(); });
    if (error == 0 && !here.list.at_end()) continue;
    const std::string of = here.prefix;
    all.levels.pop_back();
    if (error != 0 && !all.options.skip_unreadable) detail::throw_file_error(error, "list", of);
  }
  return std::nullopt;
}

void directory_walk::skip_children() {
  const detail::use<detail::walk_state> held(state_.get());
  if (!state_->levels.empty()) state_->entering = false;
}

void directory_walk::close() noexcept {
  if (state_ != nullptr && state_->sole.close()) state_->let_go();
}

}  // namespace weft
