// An operator new that fails when it is told to. It replaces that of the program: include it once.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace weft_test {
inline std::atomic<int> until_failure{0};  // 0: none fails
}  // namespace weft_test

// Not inlined: gcc takes a visible malloc() for a mismatch with delete.
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  using weft_test::until_failure;
  if (until_failure.load(std::memory_order_relaxed) > 0 && until_failure.fetch_sub(1) == 1)
    throw std::bad_alloc();
  void* got = std::malloc(bytes == 0 ? 1 : bytes);
  if (got == nullptr) throw std::bad_alloc();
  return got;
}
__attribute__((noinline)) void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
__attribute__((noinline)) void operator delete(void* block) noexcept { std::free(block); }
__attribute__((noinline)) void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace weft_test {

// Calls body again and again, with a later allocation failing each time, until none fails. How
// often body threw that.
template <class Body>
int failures_heard(Body body) {
  for (int round = 0; round < 3; ++round) body();  // what is allocated once is there now
  int heard = 0;
  for (int n = 1; n < 500; ++n) {
    until_failure = n;
    try {
      body();
    } catch (const std::bad_alloc&) {
      ++heard;
    }
    if (until_failure.exchange(0) > 0) {
      EXPECT_GT(n, 1) << "it allocates nothing";
      return heard;
    }
  }
  ADD_FAILURE() << "there is always one more";
  return heard;
}

template <class Body>
void with_each_failing(Body body) {
  EXPECT_GT(failures_heard(body), 0);
}

}  // namespace weft_test
