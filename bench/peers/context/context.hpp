// Bare contexts: what fibers stand on, with nothing around it.
#pragma once
#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <new>
#include <vector>

namespace bare {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

inline constexpr std::size_t stack_bytes = 16 * 1024;

// Room for so many stacks, without guards. A page gets memory when it is first touched.
class stack_range {
 public:
  explicit stack_range(long count)
      : bytes_(static_cast<std::size_t>(count) * stack_bytes),
        begin_(static_cast<char*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (begin_ == MAP_FAILED) throw std::bad_alloc();
    ::madvise(begin_, bytes_, MADV_NOHUGEPAGE);
  }
  stack_range(const stack_range&) = delete;
  stack_range& operator=(const stack_range&) = delete;
  ~stack_range() { ::munmap(begin_, bytes_); }

  char* top(long i) const { return begin_ + (static_cast<std::size_t>(i) + 1) * stack_bytes; }

 private:
  std::size_t bytes_;
  char* begin_;
};

// Stacks for as deep as calls nest, the one used last first.
class stack_pool {
 public:
  explicit stack_pool(long count) : range_(count) {
    for (long i = count; i > 0; --i) free_.push_back(range_.top(i - 1));
  }
  char* take() {
    char* top = free_.back();
    free_.pop_back();
    return top;
  }
  void give(char* top) { free_.push_back(top); }

 private:
  stack_range range_;
  std::vector<char*> free_;
};

// Runs body in a context of its own, to its end.
template <class F>
void call(stack_pool& pool, F& body) {
  char* top = pool.take();
  const fcontext_t entry = make_fcontext(top, stack_bytes, [](transfer_t from) {
    (*static_cast<F*>(from.data))();
    jump_fcontext(from.fctx, nullptr);
  });
  jump_fcontext(entry, &body);
  pool.give(top);
}

}  // namespace bare
