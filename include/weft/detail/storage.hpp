// What fiber_local<T> and context_var<T> need of the library, whatever T is.
#pragma once

#include <cstdint>
#include <memory>

#include <weft/detail/config.hpp>

namespace weft::detail {

// One variable of one fiber. The library links it and destroys it.
struct local_value {
  explicit local_value(void (*how)(local_value*) noexcept) noexcept : drop(how) {}

  std::uint64_t key = 0;
  std::uint32_t place = 0;
  local_value* older = nullptr;
  void (*const drop)(local_value*) noexcept;
};

template <class T>
struct local_box : local_value {
  template <class Make>
  explicit local_box(const Make& make) : local_value(&local_box::destroy), value(make()) {}
  static void destroy(local_value* self) noexcept { delete static_cast<local_box*>(self); }

  T value;
};

// A fiber_local's place in every fiber's table. Places are used again; the key tells whose the
// value there is.
class WEFT_API local_slot {
 public:
  local_slot();
  ~local_slot();  // with the calling fiber's value, not those of others
  local_slot(const local_slot&) = delete;
  local_slot& operator=(const local_slot&) = delete;

  // The calling fiber's value, or null.
  local_value* find() const noexcept;
  // Takes over a value for the calling fiber. If making it has made another, that one stays.
  local_value* put(local_value* made) const;

 private:
  std::uint64_t key_;
  std::uint32_t place_;
};

using context_value = std::shared_ptr<const void>;

WEFT_API std::uint64_t new_context_key() noexcept;
WEFT_API const void* find_context(std::uint64_t key) noexcept;
// Puts a value, or with null none, and returns the one before.
WEFT_API context_value exchange_context(std::uint64_t key, context_value value);

}  // namespace weft::detail
