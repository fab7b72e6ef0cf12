#include "context/switch.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unwind.h>

#include <cfenv>
#include <csignal>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "context/coroutine.hpp"

namespace weft::detail {
namespace {

// Runs all of them in turns, until each has ended.
void run_in_turns(host& here, const std::vector<coroutine*>& all) {
  for (bool any = true; any;) {
    any = false;
    for (coroutine* each : all) {
      if (each->done()) continue;
      any = true;
      each->resume(here);
    }
  }
}

// ---- control flow

TEST(Switch, ContextsTakeTurns) {
  host here;
  std::string log;
  coroutine a([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      log += 'a';
      self.yield();
    }
  });
  coroutine b([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      log += 'b';
      self.yield();
    }
  });
  run_in_turns(here, {&a, &b});
  EXPECT_EQ(log, "ababab");
}

TEST(Switch, AContextCanLeaveStraightForAnother) {
  host here;
  std::string log;
  std::unique_ptr<coroutine> a, b;
  a = std::make_unique<coroutine>([&](coroutine& self) {
    for (int i = 0; i < 1000; ++i) {
      log += 'a';
      self.yield_to(*b);
    }
  });
  b = std::make_unique<coroutine>([&](coroutine& self) {
    for (int i = 0; i < 1000; ++i) {
      log += 'b';
      self.yield_to(*a);
    }
  });
  a->resume(here);  // until a ends
  EXPECT_TRUE(a->done());
  EXPECT_FALSE(b->done());
  b->resume(here);
  EXPECT_TRUE(b->done());
  ASSERT_EQ(log.size(), 2000u);
  for (std::size_t i = 0; i < log.size(); ++i) ASSERT_EQ(log[i], i % 2 == 0 ? 'a' : 'b');
}

TEST(Switch, LocalsSurviveTheTurnsOfOthers) {
  host here;
  auto body = [](int seed) {
    return [seed](coroutine& self) {
      int i0 = seed, i1 = seed + 1, i2 = seed + 2, i3 = seed + 3, i4 = seed + 4, i5 = seed + 5;
      double d0 = seed, d1 = seed * 2.0, d2 = seed * 3.0;
      char block[512];
      for (char& each : block) each = static_cast<char>(seed);
      for (int turn = 0; turn < 100; ++turn) {
        self.yield();
        i0 += 1, i1 += 2, i2 += 3, i3 += 4, i4 += 5, i5 += 6;
        d0 += 1, d1 += 2, d2 += 3;
      }
      EXPECT_EQ(i0 + i1 + i2 + i3 + i4 + i5, 6 * seed + 15 + 2100);
      EXPECT_EQ(d0 + d1 + d2, 6.0 * seed + 600);
      for (char each : block) EXPECT_EQ(each, static_cast<char>(seed));
    };
  };
  coroutine a(body(10)), b(body(20)), c(body(30));
  run_in_turns(here, {&a, &b, &c});
}

TEST(Switch, AStackServesManyContextsThatEnd) {
  host here;
  int ended = 0;
  // More than ThreadSanitizer's shadow call stack has room for, should anything be left on it.
  for (int i = 0; i < 70'000; ++i) {
    coroutine once([&](coroutine&) { ++ended; });
    once.resume(here);
    ASSERT_TRUE(once.done());
  }
  EXPECT_EQ(ended, 70'000);
}

// ---- exception state

TEST(Switch, EachContextRethrowsItsOwnException) {
  host here;
  std::vector<std::string> caught;
  auto body = [&](const char* name) {
    return [&caught, name](coroutine& self) {
      try {
        try {
          throw std::runtime_error(name);
        } catch (...) {
          self.yield();
          self.yield();
          throw;
        }
      } catch (const std::exception& mine) {
        caught.push_back(std::string(name) + mine.what());
      }
    };
  };
  coroutine a(body("a")), b(body("b")), c(body("c"));
  run_in_turns(here, {&a, &b, &c});
  EXPECT_EQ(caught, (std::vector<std::string>{"aa", "bb", "cc"}));
}

TEST(Switch, CurrentExceptionIsTheContextsOwn) {
  host here;
  auto name_of = [](const std::exception_ptr& which) -> std::string {
    try {
      std::rethrow_exception(which);
    } catch (const std::exception& found) {
      return found.what();
    }
  };
  auto body = [&](const char* name) {
    return [&name_of, name](coroutine& self) {
      EXPECT_EQ(std::current_exception(), nullptr);
      try {
        throw std::runtime_error(name);
      } catch (...) {
        for (int i = 0; i < 3; ++i) {
          self.yield();
          EXPECT_EQ(name_of(std::current_exception()), name);
        }
      }
      self.yield();
      EXPECT_EQ(std::current_exception(), nullptr);
    };
  };
  coroutine a(body("a")), b(body("b")), c(body("c"));
  try {
    throw std::runtime_error("main");
  } catch (...) {
    run_in_turns(here, {&a, &b, &c});
    EXPECT_EQ(name_of(std::current_exception()), "main");
  }
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(Switch, HandlersMayEndInAnyOrder) {
  host here;
  // The first to catch is the first to leave its handler: on one common stack of caught exceptions
  // that would take down somebody else's.
  auto body = [](int number, int turns) {
    return [number, turns](coroutine& self) {
      try {
        throw number;
      } catch (int& mine) {
        for (int i = 0; i < turns; ++i) self.yield();
        try {
          throw number * 10;
        } catch (int& inner) {
          for (int i = 0; i < turns; ++i) self.yield();
          EXPECT_EQ(inner, number * 10);
        }
        EXPECT_EQ(mine, number);
      }
    };
  };
  coroutine a(body(1, 1)), b(body(2, 4)), c(body(3, 2)), d(body(4, 3));
  run_in_turns(here, {&a, &b, &c, &d});
}

struct yields_in_destructor {
  coroutine& self;
  int& during;
  int& after;
  ~yields_in_destructor() {
    during = std::uncaught_exceptions();
    self.yield();
    after = std::uncaught_exceptions();
  }
};

TEST(Switch, ADestructorMaySwitchWhileItsContextUnwinds) {
  host here;
  int during[3] = {-1, -1, -1};
  int after[3] = {-1, -1, -1};
  auto body = [&](int i) {
    return [&during, &after, i](coroutine& self) {
      try {
        yields_in_destructor outer{self, during[i], after[i]};
        throw i;
      } catch (int mine) {
        EXPECT_EQ(mine, i);
        EXPECT_EQ(std::uncaught_exceptions(), 0);
      }
    };
  };
  coroutine a(body(0)), b(body(1)), c(body(2));
  coroutine bystander([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      EXPECT_EQ(self.on().uncaught(), 0u);
      self.yield();
    }
  });
  for (coroutine* each : {&a, &b, &c, &bystander}) {
    each->resume(here);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  }
  run_in_turns(here, {&c, &a, &bystander, &b});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(during[i], 1);
    EXPECT_EQ(after[i], 1);
  }
}

struct unwinding_count {
  coroutine& self;
  unsigned& seen;
  ~unwinding_count() { seen = self.on().uncaught(); }
};

TEST(Switch, TheThreadSideCountsWhatUnwindsItsContext) {
  host here;
  unsigned seen = 99;
  coroutine a([&](coroutine& self) {
    EXPECT_EQ(self.on().uncaught(), 0u);
    try {
      unwinding_count counter{self, seen};
      throw 1;
    } catch (int) {
      EXPECT_EQ(self.on().uncaught(), 0u);
    }
  });
  a.resume(here);
  EXPECT_EQ(seen, 1u);
  EXPECT_EQ(here.uncaught(), 0u);
}

struct starts_in_destructor {
  host& here;
  coroutine& fresh;
  ~starts_in_destructor() { fresh.resume(here); }
};

TEST(Switch, AContextStartedDuringUnwindingBeginsWithoutExceptions) {
  host here;
  int uncaught = -1;
  bool none_current = false;
  std::unique_ptr<coroutine> fresh;
  try {
    try {
      throw 1;
    } catch (int) {
      fresh = std::make_unique<coroutine>([&](coroutine&) {
        uncaught = std::uncaught_exceptions();
        none_current = std::current_exception() == nullptr;
        EXPECT_THROW(throw std::logic_error("inside"), std::logic_error);
      });
      starts_in_destructor late{here, *fresh};
      throw 2;
    }
  } catch (int value) {
    EXPECT_EQ(value, 2);
  }
  EXPECT_EQ(uncaught, 0);
  EXPECT_TRUE(none_current);
}

// ---- floating-point mode

struct rounding_restored {
  const int mode = std::fegetround();
  ~rounding_restored() { std::fesetround(mode); }
};

// 1/3 as the hardware rounds it, in both units.
bool rounds_up() {
  volatile double one = 1.0, three = 3.0, minus = -1.0, mirrored = minus / three;
  return one / three > -mirrored;
}
bool x87_rounds_up() {
  volatile long double one = 1.0L, three = 3.0L, minus = -1.0L, mirrored = minus / three;
  return one / three > -mirrored;
}

TEST(Switch, TheRoundingModeOfOneContextIsNotSeenByOthers) {
  rounding_restored restore;
  host here;
  coroutine up([&](coroutine& self) {
    std::fesetround(FE_UPWARD);
    for (int i = 0; i < 5; ++i) {
      self.yield();
      EXPECT_EQ(std::fegetround(), FE_UPWARD);
      EXPECT_TRUE(rounds_up());
      EXPECT_TRUE(x87_rounds_up());
    }
  });
  coroutine down([&](coroutine& self) {
    std::fesetround(FE_DOWNWARD);
    for (int i = 0; i < 5; ++i) {
      self.yield();
      EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
      EXPECT_FALSE(rounds_up());
      EXPECT_FALSE(x87_rounds_up());
    }
  });
  coroutine plain([&](coroutine& self) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
      EXPECT_FALSE(rounds_up());
      self.yield();
    }
  });
  run_in_turns(here, {&up, &down, &plain});
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST(Switch, ANewContextStartsInTheDefaultModeWhereverItIsMadeOrStarted) {
  rounding_restored restore;
  host here;
  std::fesetround(FE_UPWARD);
  int seen = -1;
  bool x87_up = true;
  coroutine fresh([&](coroutine&) {
    seen = std::fegetround();
    x87_up = x87_rounds_up();
  });
  std::fesetround(FE_TOWARDZERO);
  fresh.resume(here);
  EXPECT_EQ(seen, FE_TONEAREST);
  EXPECT_FALSE(x87_up);
  EXPECT_EQ(std::fegetround(), FE_TOWARDZERO);
}

TEST(Switch, AnAdoptedContextStartsInTheDefaultMode) {
  rounding_restored restore;
  host here;
  coroutine reused([&](coroutine& self) {
    std::fesetround(FE_UPWARD);
    context next;
    adopt_context(next, self.on_stack());
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    EXPECT_FALSE(rounds_up());
    EXPECT_FALSE(x87_rounds_up());
  });
  reused.resume(here);
}

TEST(Switch, StickyFlagsOfOneContextDoNotDisturbTheModeOfAnother) {
  rounding_restored restore;
  host here;
  auto inexact = [] {
    volatile double one = 1.0, three = 3.0;
    volatile double result = one / three;
    static_cast<void>(result);
    EXPECT_NE(std::fetestexcept(FE_INEXACT), 0);
  };
  auto body = [&](int mode) {
    return [&inexact, mode](coroutine& self) {
      std::fesetround(mode);
      for (int i = 0; i < 4; ++i) {
        if (i % 2 == 0) std::feclearexcept(FE_ALL_EXCEPT);
        self.yield();
        EXPECT_EQ(std::fegetround(), mode);
        inexact();
        self.yield();
        EXPECT_EQ(std::fegetround(), mode);
      }
    };
  };
  coroutine a(body(FE_TONEAREST)), b(body(FE_UPWARD)), c(body(FE_TONEAREST)), d(body(FE_DOWNWARD));
  run_in_turns(here, {&a, &b, &c, &d});
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

#if defined(__GLIBC__) && defined(__x86_64__)
TEST(Switch, UnmaskedTrapsStayWithTheContextThatWantsThem) {
  host here;
  coroutine strict([&](coroutine& self) {
    feenableexcept(FE_DIVBYZERO);
    for (int i = 0; i < 3; ++i) {
      self.yield();
      EXPECT_EQ(fegetexcept(), FE_DIVBYZERO);
    }
    fedisableexcept(FE_ALL_EXCEPT);
  });
  coroutine lax([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      volatile double zero = 0.0;
      volatile double result = 1.0 / zero;  // would trap
      static_cast<void>(result);
      EXPECT_EQ(fegetexcept(), 0);
      self.yield();
    }
  });
  run_in_turns(here, {&strict, &lax});
  EXPECT_EQ(fegetexcept(), 0);
}

TEST(Switch, TheFlagsOfOneContextSpringNoTrapOfAnother) {
  host here;
  coroutine strict([&](coroutine& self) {
    feenableexcept(FE_DIVBYZERO);
    for (int i = 0; i < 3; ++i) {
      self.yield();
      EXPECT_FALSE(x87_rounds_up());
      EXPECT_FALSE(rounds_up());
    }
    fedisableexcept(FE_ALL_EXCEPT);
  });
  coroutine lax([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      volatile long double zero = 0.0L;
      volatile long double result = 1.0L / zero;
      volatile double narrow = 1.0 / static_cast<double>(zero);
      EXPECT_EQ(static_cast<double>(result), narrow);
      self.yield();
      EXPECT_NE(std::fetestexcept(FE_DIVBYZERO), 0);  // they are the thread's
    }
  });
  run_in_turns(here, {&strict, &lax});
  EXPECT_EQ(fegetexcept(), 0);
  std::feclearexcept(FE_ALL_EXCEPT);
}
#endif

// ---- whoever looks from outside

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(WEFT_ASAN) && !defined(WEFT_TSAN)

// A profiler's signal may come at any instruction, and its handler walks the stack.
struct walker {
  static inline int walks = 0;
  static inline int lost = 0;

  static _Unwind_Reason_Code visit(_Unwind_Context* at, void*) {
    auto* const code = reinterpret_cast<void*>(_Unwind_GetIP(at));
    Dl_info in;
    if (code != nullptr && dladdr(code, &in) == 0) ++lost;  // null: the end
    return _URC_NO_REASON;
  }
  static void walk(int) {
    ++walks;
    _Unwind_Backtrace(&visit, nullptr);
  }
};

// What earlier calls leave below the stack pointer is not a return address.
__attribute__((noinline)) void litter() {
  volatile unsigned char all[4096];
  for (volatile unsigned char& each : all) each = 0x5a;
}

// With the trap flag the CPU raises SIGTRAP after each instruction.
void step_singly(bool on) {
  const auto flags = __builtin_ia32_readeflags_u64() & ~0x100ull;
  __builtin_ia32_writeeflags_u64(flags | (on ? 0x100u : 0u));
}

TEST(Switch, AStackCanBeWalkedAtEveryInstruction) {
  host here;
  coroutine other([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      litter();
      self.yield();
    }
  });
  walker::walks = walker::lost = 0;
  struct sigaction walks = {}, before = {};
  walks.sa_handler = &walker::walk;
  ASSERT_EQ(sigaction(SIGTRAP, &walks, &before), 0);
  other.resume(here);
  litter();
  step_singly(true);
  other.resume(here);
  other.resume(here);
  other.resume(here);
  step_singly(false);
  sigaction(SIGTRAP, &before, nullptr);
  EXPECT_TRUE(other.done());
  EXPECT_GT(walker::walks, 200);
  EXPECT_EQ(walker::lost, 0);
}
#endif

// ---- migration

// Resumes it once on a thread of its own.
void resume_elsewhere(coroutine& moved) {
  std::thread([&moved] {
    host there;
    moved.resume(there);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  }).join();
}

TEST(Switch, AContextWakesOnTheThreadThatResumesIt) {
  host here;
  std::vector<host*> seen;
  coroutine moved([&](coroutine& self) {
    for (int i = 0; i < 3; ++i) {
      seen.push_back(&self.on());
      self.yield();
    }
  });
  moved.resume(here);
  host* other = nullptr;
  std::thread([&] {
    host there;
    other = &there;
    moved.resume(there);
  }).join();
  moved.resume(here);
  moved.resume(here);
  EXPECT_EQ(seen, (std::vector<host*>{&here, other, &here}));
}

TEST(Switch, AMigratedContextKeepsItsExceptionsAndItsMode) {
  rounding_restored restore;
  host here;
  std::vector<std::string> log;
  coroutine moved([&](coroutine& self) {
    std::fesetround(FE_UPWARD);
    try {
      try {
        throw std::runtime_error("mine");
      } catch (...) {
        self.yield();  // comes back on another thread
        log.push_back(std::fegetround() == FE_UPWARD ? "up" : "lost");
        throw;
      }
    } catch (const std::exception& found) {
      log.push_back(found.what());
      self.yield();  // and back here
      log.push_back(std::current_exception() != nullptr ? "held" : "lost");
    }
    EXPECT_EQ(std::current_exception(), nullptr);
  });
  moved.resume(here);
  resume_elsewhere(moved);
  moved.resume(here);
  EXPECT_TRUE(moved.done());
  EXPECT_EQ(log, (std::vector<std::string>{"up", "mine", "held"}));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST(Switch, UnwindingGoesOnOnAnotherThread) {
  host here;
  int during = -1, after = -1;
  coroutine moved([&](coroutine& self) {
    try {
      yields_in_destructor late{self, during, after};
      throw 7;
    } catch (int value) {
      EXPECT_EQ(value, 7);
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  });
  moved.resume(here);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  resume_elsewhere(moved);
  EXPECT_TRUE(moved.done());
  EXPECT_EQ(during, 1);
  EXPECT_EQ(after, 1);
}

TEST(Switch, AThreadSideCanBeTakenOverByAnotherThread) {
  host carried;
  std::thread([&] {
    carried.bind_to_this_thread();
    coroutine a([&](coroutine& self) {
      try {
        throw 1;
      } catch (int) {
        self.yield();
        EXPECT_NE(std::current_exception(), nullptr);
      }
    });
    a.resume(carried);
    EXPECT_EQ(std::current_exception(), nullptr);
    a.resume(carried);
  }).join();
}

}  // namespace
}  // namespace weft::detail
