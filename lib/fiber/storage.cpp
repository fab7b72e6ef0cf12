// See storage.hpp for the rules.
#include "fiber/storage.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>
#include <weft/detail/storage.hpp>

#include "base/never_destroyed.hpp"
#include "fiber/control.hpp"
#include "fiber/shield.hpp"

namespace weft::detail {

struct local_table {
  std::vector<local_value*> places;
  local_value* youngest = nullptr;
};

struct context_map {
  struct entry {
    std::uint64_t key;
    context_value value;
  };

  std::atomic<std::size_t> references{1};
  std::vector<entry> entries;

  entry* find(std::uint64_t key) noexcept {
    for (entry& each : entries)
      if (each.key == key) return &each;
    return nullptr;
  }
};

namespace {

std::atomic<std::uint64_t> next_key{1};

struct place_list {
  std::mutex lock;
  std::vector<std::uint32_t> free;
  std::uint32_t used = 0;
};

place_list& known_places() noexcept {
  static never_destroyed<place_list> only;
  return only.get();
}

void drop_context(context_map* map) noexcept {
  // The last one sees what the others did with the values.
  if (map->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete map;
}

// User code may run in there, and park: whoever drops it did not write that parking call.
void drop_one(local_value& value) noexcept {
  const fiber_shield here(current_fiber());
  value.drop(&value);
}

void unlink(local_table& from, const local_value& gone) noexcept {
  local_value** at = &from.youngest;
  while (*at != &gone) at = &(*at)->older;
  *at = gone.older;
  from.places[gone.place] = nullptr;
}

// Far beyond what any destructors that end need.
constexpr std::size_t most_rounds = 100'000;

[[noreturn]] void report_endless_clearing() noexcept {
  std::fputs("weft: destructors of fiber_locals make new values without an end\n", stderr);
  std::abort();
}

// User code runs in here and may come back, so nothing is held from one value to the next.
void clear(fiber_storage& mine) noexcept {
  std::size_t rounds = 0;
  while (!mine.empty()) {
    while (mine.locals != nullptr && mine.locals->youngest != nullptr) {
      if (++rounds > mine.locals->places.size() + most_rounds) report_endless_clearing();
      local_value& value = *mine.locals->youngest;
      unlink(*mine.locals, value);
      value.drop(&value);
    }
    delete std::exchange(mine.locals, nullptr);
    weft::detail::drop_context(mine);
  }
}

fiber_storage* thread_storage() noexcept {
  return static_cast<fiber_storage*>(this_threads_slot(thread_slot_use::storage).value);
}

fiber_storage* my_storage() noexcept {
  control* self = current_fiber();
  return self != nullptr ? &self->storage : thread_storage();
}

fiber_storage& make_my_storage() {
  if (fiber_storage* mine = my_storage()) return *mine;
  thread_slot& slot = this_threads_slot(thread_slot_use::storage);
  auto* made = new fiber_storage;
  slot.drop = [](void* value) noexcept {
    auto* mine = static_cast<fiber_storage*>(value);
    clear(*mine);
    delete mine;
  };
  slot.value = made;
  return *made;
}

// The context map of this storage, that nobody else has.
context_map& own_context(fiber_storage& mine) {
  if (mine.context == nullptr) {
    mine.context = new context_map;
  } else if (mine.context->references.load(std::memory_order_acquire) != 1) {
    auto copy = std::make_unique<context_map>();
    copy->entries = mine.context->entries;
    drop_context(std::exchange(mine.context, copy.release()));
  }
  return *mine.context;
}

}  // namespace

context_map* inherited_context(const control* spawner) noexcept {
  const fiber_storage* from = spawner != nullptr ? &spawner->storage : thread_storage();
  if (from == nullptr || from->context == nullptr) return nullptr;
  from->context->references.fetch_add(1, std::memory_order_relaxed);
  return from->context;
}

void drop_context(fiber_storage& of) noexcept {
  if (of.context != nullptr) drop_context(std::exchange(of.context, nullptr));
}

void drop_storage(control& self) noexcept {
  const fiber_shield here(&self);
  clear(self.storage);
}

local_slot::local_slot() : key_(next_key.fetch_add(1, std::memory_order_relaxed)), place_(0) {
  place_list& all = known_places();
  std::lock_guard<std::mutex> hold(all.lock);
  if (all.free.empty()) {
    all.free.reserve(all.used + 1);  // so that the destructor need not allocate
    place_ = all.used++;
  } else {
    place_ = all.free.back();
    all.free.pop_back();
  }
}

local_slot::~local_slot() {
  if (local_value* mine = find()) {
    unlink(*my_storage()->locals, *mine);
    drop_one(*mine);
  }
  place_list& all = known_places();
  std::lock_guard<std::mutex> hold(all.lock);
  all.free.push_back(place_);
}

local_value* local_slot::find() const noexcept {
  const fiber_storage* mine = my_storage();
  if (mine == nullptr || mine->locals == nullptr || place_ >= mine->locals->places.size())
    return nullptr;
  local_value* found = mine->locals->places[place_];
  return found != nullptr && found->key == key_ ? found : nullptr;
}

local_value* local_slot::put(local_value* made) const {
  struct guard {
    local_value* unused;
    ~guard() {
      if (unused != nullptr) drop_one(*unused);
    }
  } undo{made};
  if (local_value* other = find()) return other;
  fiber_storage& mine = make_my_storage();
  if (mine.locals == nullptr) mine.locals = new local_table;
  local_table& table = *mine.locals;
  if (place_ >= table.places.size()) table.places.resize(place_ + std::size_t{1});
  local_value* stale = table.places[place_];
  if (stale != nullptr) unlink(table, *stale);
  made->key = key_;
  made->place = place_;
  made->older = std::exchange(table.youngest, made);
  table.places[place_] = made;
  undo.unused = stale;
  return made;
}

std::uint64_t new_context_key() noexcept {
  return next_key.fetch_add(1, std::memory_order_relaxed);
}

const void* find_context(std::uint64_t key) noexcept {
  const fiber_storage* mine = my_storage();
  if (mine == nullptr || mine->context == nullptr) return nullptr;
  const context_map::entry* found = mine->context->find(key);
  return found == nullptr ? nullptr : found->value.get();
}

context_value exchange_context(std::uint64_t key, context_value value) {
  if (value == nullptr && find_context(key) == nullptr) return nullptr;
  fiber_storage& mine = make_my_storage();
  context_map& map = own_context(mine);
  context_map::entry* found = map.find(key);
  if (found == nullptr) {
    map.entries.push_back({key, std::move(value)});
    return nullptr;
  }
  std::swap(found->value, value);
  if (found->value == nullptr) {
    *found = std::move(map.entries.back());
    map.entries.pop_back();
    if (map.entries.empty()) drop_context(mine);
  }
  return value;
}

}  // namespace weft::detail
