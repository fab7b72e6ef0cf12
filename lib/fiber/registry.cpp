// See registry.hpp.
#include "fiber/registry.hpp"

#include "fiber/control.hpp"

namespace weft::detail {

std::uint16_t registry::unlist(control& ended) noexcept {
  std::lock_guard<spin_lock> hold(shards_[ended.shard].lock);
  intrusive_list<control, registry_hook>::erase(ended);
  return ended.shard;
}

void registry::count_off(std::uint16_t unlisted_from) noexcept {
  shard& in = shards_[unlisted_from];
  std::lock_guard<spin_lock> hold(in.lock);
  in.removed.store(in.removed.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

bool registry::empty() const noexcept {
  std::uint64_t removed = 0;
  for (const shard& each : shards_) removed += each.removed.load(std::memory_order_acquire);
  return total() == removed;
}

std::uint64_t registry::live() const noexcept {
  std::uint64_t removed = 0;
  for (const shard& each : shards_) removed += each.removed.load(std::memory_order_acquire);
  return total() - removed;
}

std::uint64_t registry::total() const noexcept {
  std::uint64_t added = 0;
  for (const shard& each : shards_) added += each.added.load(std::memory_order_acquire);
  return added;
}

spin_lock& registry::lock_of(const control& fiber) noexcept { return shards_[fiber.shard].lock; }

void id_range::refill() noexcept {
  static std::atomic<std::uint64_t> handed_out{1};
  constexpr std::uint64_t batch = 1024;
  at_ = handed_out.fetch_add(batch, std::memory_order_relaxed);
  end_ = at_ + batch;
}

}  // namespace weft::detail
