// A process-wide object that outlives everything, since fibers and threads may end during exit().
// Made in static storage: no allocation that could fail, and nothing for a leak checker to find.
#pragma once
#include <new>

namespace weft::detail {

template <class T>
class never_destroyed {
 public:
  never_destroyed() { ::new (static_cast<void*>(room_)) T; }
  never_destroyed(const never_destroyed&) = delete;
  never_destroyed& operator=(const never_destroyed&) = delete;

  T& get() noexcept { return *std::launder(reinterpret_cast<T*>(room_)); }

 private:
  alignas(T) unsigned char room_[sizeof(T)];
};

}  // namespace weft::detail
