// Every live fiber, so that a hang can be looked into and shutdown can end what is left.
// Sharded by the worker that spawned, so that spawning on different workers shares no cache line.
//
// (1) added and removed only grow. A reader sums removed over all shards first, added afterwards:
//     if the sums are equal there was a moment without live fibers, and without live fibers only a
//     plain thread can make new ones.
// (2) A fiber's block is valid while its shard's lock is held, and so is its name.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/intrusive_list.hpp"
#include "base/spin_lock.hpp"

namespace weft::detail {

struct control;
struct registry_hook : list_hook {};

class registry {
 public:
  static constexpr std::size_t shard_count = 64;

  void add(control& born) noexcept;  // this and the next: control.hpp
  void remove(control& ended) noexcept;
  // The same in two steps, for a fiber that runs its user's code between the two.
  std::uint16_t unlist(control& ended) noexcept;
  void count_off(std::uint16_t unlisted_from) noexcept;
  bool empty() const noexcept;
  std::uint64_t live() const noexcept;
  std::uint64_t total() const noexcept;

  // Calls visit(control&) for each, one shard locked at a time: it may take a fiber's lock, but
  // must not spawn, end or rename fibers.
  template <class F>
  void for_each(F&& visit) {
    for (shard& each : shards_) {
      std::lock_guard<spin_lock> hold(each.lock);
      each.fibers.for_each(visit);
    }
  }

  spin_lock& lock_of(const control& fiber) noexcept;

 private:
  struct alignas(64) shard {
    spin_lock lock;
    intrusive_list<control, registry_hook> fibers;
    std::atomic<std::uint64_t> added{0};  // seq_cst, read by empty()
    std::atomic<std::uint64_t> removed{0};
  };

  std::array<shard, shard_count> shards_;
};

// Fiber ids are unique in the process; each carrier takes a thousand at a time.
class id_range {
 public:
  std::uint64_t next() noexcept {
    if (at_ == end_) refill();
    return at_++;
  }

 private:
  void refill() noexcept;

  std::uint64_t at_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace weft::detail
