// What the tests of queues put into them.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "sched/injector.hpp"

namespace weft_test {

struct item {
  item* next = nullptr;
  int number = 0;
  int producer = 0;
  int taken = 0;
};

// Numbered from 0.
template <std::size_t N>
struct items : std::array<item, N> {
  items() {
    for (std::size_t i = 0; i < N; ++i) (*this)[i].number = static_cast<int>(i);
  }

  weft::detail::batch<item> some(std::size_t from, std::size_t to) {
    weft::detail::batch<item> out;
    for (std::size_t i = from; i < to; ++i) out.push(&(*this)[i]);
    return out;
  }
};

// Of all that a queue gives.
template <class Queue>
std::vector<int> numbers(Queue&& queue) {
  std::vector<int> out;
  while (item* each = queue.pop()) out.push_back(each->number);
  return out;
}

}  // namespace weft_test
