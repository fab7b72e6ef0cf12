// Range-for over what hands out one thing after another by next().
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace weft::detail {

// An input iterator: one pass. Advance is std::optional<Value> (Source::*)().
template <class Source, class Value, std::optional<Value> (Source::*Advance)()>
class next_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Value;
  using difference_type = std::ptrdiff_t;
  using pointer = const Value*;
  using reference = const Value&;

  next_iterator() noexcept = default;  // the end
  explicit next_iterator(Source& of) : source_(&of) { ++*this; }

  reference operator*() const { return *value_; }
  pointer operator->() const { return &*value_; }
  next_iterator& operator++() {
    value_ = (source_->*Advance)();
    if (!value_) source_ = nullptr;
    return *this;
  }
  void operator++(int) { ++*this; }

  friend bool operator==(const next_iterator& a, const next_iterator& b) noexcept {
    return a.source_ == b.source_;
  }
  friend bool operator!=(const next_iterator& a, const next_iterator& b) noexcept {
    return a.source_ != b.source_;
  }

 private:
  Source* source_ = nullptr;
  std::optional<Value> value_;
};

}  // namespace weft::detail
