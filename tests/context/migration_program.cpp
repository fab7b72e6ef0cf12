// Moves a context to and fro between two threads and checks, in the ways user code is written, that
// current_carrier() after a switch is the new thread's. Built by migration_test.py with each
// compiler and set of options, since the mistake to be found is the compiler's: to reuse what it
// knew of the thread before the switch. As controls it does the same with a plain thread_local and
// with an accessor that is merely noinline, to see that the mistake would be made here.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/this_thread.hpp"
#include "context/switch.hpp"

namespace weft::detail {
// Of these two the program needs no more than that they exist.
class carrier {
 public:
  int number = 0;
};
char* stack::limit() const noexcept { return base; }
}  // namespace weft::detail

namespace {

using namespace weft::detail;

constexpr int turns = 200;

thread_local int plain_number = 0;
__attribute__((noinline)) int* noinline_number() { return &plain_number; }

struct host : thread_side {
  context main;
  carrier mine;
};

context moved;
bool over = false;
int wrong = 0;
int plain_wrong = 0;
int noinline_wrong = 0;

void check(bool right, const char* where) {
  if (right) return;
  if (++wrong < 10) std::printf("%s: the carrier of the thread before\n", where);
}

// Leaves for whoever runs us; returns the number of the thread we wake on.
int migrate(thread_side*& on) {
  on = switch_to(moved, static_cast<host*>(on)->main, *on);
  return static_cast<host*>(on)->mine.number;
}

inline int number_now() { return current_carrier()->number; }

int through_a_pointer(const int* number, thread_side*& on) {
  const int before = *number;
  return migrate(on) * 10 + before;
}

struct looks_when_it_ends {
  thread_side*& on;
  ~looks_when_it_ends() {
    const carrier* before = current_carrier();
    const int expected = migrate(on);
    check(number_now() == expected && current_carrier() != before, "in a destructor");
  }
};

void use(thread_side*& on) {
  for (int turn = 0; turn < turns; ++turn) {
    // In a row: the second call must not be taken for the first.
    const carrier* before = current_carrier();
    int expected = migrate(on);
    const carrier* after = current_carrier();
    check(after->number == expected && after != before, "in a row");

    // An inline helper, in one expression.
    const int first = number_now();
    expected = migrate(on);
    check(number_now() == expected && number_now() != first, "in an expression");

    // In a loop, where a value that does not change would be read once, before it.
    for (int i = 0; i < 4; ++i) {
      expected = migrate(on);
      check(current_carrier()->number == expected, "in a loop");
    }

    // Where the carrier's field is passed by address.
    const int both = through_a_pointer(&current_carrier()->number, on);
    check(number_now() == both / 10 && both / 10 != both % 10, "through a pointer");

    // In a handler and while unwinding.
    try {
      looks_when_it_ends late{on};
      throw turn;
    } catch (int) {
      expected = migrate(on);
      check(number_now() == expected, "in a handler");
    }

    // The controls.
    const int* at = &plain_number;
    asm volatile("" : : "r"(at) : "memory");
    expected = migrate(on);
    at = &plain_number;
    asm volatile("" : "+r"(at) : : "memory");
    if (*at != expected) ++plain_wrong;

    const int* before_by_call = noinline_number();
    asm volatile("" : : "r"(before_by_call) : "memory");
    expected = migrate(on);
    if (*noinline_number() != expected) ++noinline_wrong;
  }
}

departure enter(thread_side& entered) {
  thread_side* on = &entered;
  use(on);
  over = true;
  return {&static_cast<host*>(on)->main, on};
}

}  // namespace

int main() {
  constexpr std::size_t bytes = 256 * 1024;
  const std::unique_ptr<char[]> room(new char[bytes]);
  char* top = room.get() + bytes - sizeof(stack);
  top -= reinterpret_cast<std::uintptr_t>(top) % 64;
  auto* on = new (top) stack;
  on->base = room.get();
  make_context(moved, *on, &enter);

  std::atomic<int> turn{1};
  auto life = [&turn](int number) {
    host here;
    here.mine.number = plain_number = number;
    set_current_carrier(&here.mine);
    while (!over) {
      while (turn.load(std::memory_order_acquire) != number) std::this_thread::yield();
      if (!over) switch_to(here.main, moved, here);
      turn.store(3 - number, std::memory_order_release);
    }
  };
  std::thread second(life, 2);
  life(1);
  second.join();
  std::printf("%d wrong, plain thread_local %d, noinline accessor %d\n", wrong, plain_wrong,
              noinline_wrong);
  return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
