// Variables of a fiber, and variables that it inherits.
#include <weft/fiber_local.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class FiberLocal : public weft_test::fiber_fixture {};
FIBER_SUITE(FiberLocal);
class ContextVar : public weft_test::fiber_fixture {};
FIBER_SUITE(ContextVar);

// ---- fiber_local

TEST_P(FiberLocal, EachFiberHasItsOwn) {
  weft::fiber_local<int> number([] { return 7; });
  inside([&] {
    weft::group tasks;
    for (int f = 0; f < 50; ++f)
      tasks.go([&, f] {
        EXPECT_EQ(number.get(), 7);
        *number = f;
        for (int i = 0; i < 20; ++i) {
          weft::yield();
          EXPECT_EQ(*number, f + i);
          ++*number;
        }
      });
    tasks.wait();
    EXPECT_EQ(*number, 7);
  });
  EXPECT_EQ(*number, 7);
  *number = 1;
  std::thread([&] { EXPECT_EQ(*number, 7); }).join();
  EXPECT_EQ(*number, 1);
}

TEST_P(FiberLocal, StartsAsTheDefaultAndHoldsMoveOnlyTypes) {
  weft::fiber_local<int> zero;
  weft::fiber_local<std::unique_ptr<int>> owner([] { return std::make_unique<int>(3); });
  weft::fiber_local<std::string> text;
  inside([&] {
    EXPECT_EQ(*zero, 0);
    EXPECT_EQ(**owner, 3);
    EXPECT_TRUE(text->empty());
    EXPECT_EQ(&zero.get(), &zero.get());
  });
}

// Notes what happens to it.
struct tracked {
  std::vector<std::string>* log;
  std::string name;
  tracked(std::vector<std::string>& to, std::string as) : log(&to), name(std::move(as)) {}
  tracked(const tracked&) = delete;
  tracked& operator=(const tracked&) = delete;
  ~tracked() { log->push_back(name); }
};

TEST_P(FiberLocal, GoesWithItsFiberYoungestFirstBeforeJoinersKnow) {
  std::vector<std::string> log;
  weft::fiber_local<tracked> a([&] { return tracked(log, "a"); });
  weft::fiber_local<tracked> b([&] { return tracked(log, "b"); });
  weft::fiber_local<tracked> unused([&] { return tracked(log, "unused"); });
  inside([&] {
    weft::go([&] {
      b.get();
      a.get();
      b.get();
    }).join();
    EXPECT_EQ(log, (std::vector<std::string>{"a", "b"}));
    EXPECT_THROW(weft::go([&] {
                   a.get();
                   throw std::runtime_error("gone");
                 }).join(),
                 std::runtime_error);
    EXPECT_EQ(log.size(), 3u);
  });
  log.clear();
  std::thread([&] {
    a.get();
    b.get();
  }).join();
  EXPECT_EQ(log, (std::vector<std::string>{"b", "a"}));
}

TEST_P(FiberLocal, DestructorsMayParkAndUseOthersAndAreNotInterrupted) {
  std::atomic<int> ended{0};
  weft::fiber_local<int> other([] { return 5; });
  struct parks {
    std::atomic<int>& ended;
    weft::fiber_local<int>& other;
    std::uint64_t fiber = weft::this_fiber::id();
    ~parks() {
      weft::sleep(100us);
      weft::yield();
      weft::check_cancelled();
      EXPECT_EQ(weft::this_fiber::id(), fiber);
      EXPECT_EQ(*other, 6);
      ++ended;
    }
  };
  weft::fiber_local<parks> local([&] { return parks{ended, other}; });
  inside([&] {
    auto child = weft::go([&] {
      *other = 6;
      local.get();
      weft::sleep(1h);
    });
    weft_test::until_parked(1);
    child.cancel();
    EXPECT_THROW(child.join(), weft::fiber_cancelled);
    EXPECT_EQ(ended, 1);
  });
}

TEST_P(FiberLocal, WhatDestructorsMakeGoesAsWell) {
  std::atomic<int> alive{0};
  struct counted {
    std::atomic<int>& alive;
    explicit counted(std::atomic<int>& at) : alive(at) { ++alive; }
    counted(const counted&) = delete;
    ~counted() { --alive; }
  };
  weft::fiber_local<counted> late([&] { return counted(alive); });
  struct makes {
    weft::fiber_local<counted>& late;
    ~makes() { late.get(); }
  };
  weft::fiber_local<makes> first([&] { return makes{late}; });
  inside([&] {
    weft::go([&] { first.get(); }).join();
    EXPECT_EQ(alive, 0);
  });
  std::thread([&] { first.get(); }).join();
  EXPECT_EQ(alive, 0);
}

TEST_P(FiberLocal, AThrowingInitialiserLeavesNothing) {
  bool fails = true;
  weft::fiber_local<int> maybe([&]() -> int {
    if (fails) throw std::runtime_error("not yet");
    return 4;
  });
  inside([&] {
    EXPECT_THROW(maybe.get(), std::runtime_error);
    fails = false;
    EXPECT_EQ(*maybe, 4);
  });
}

TEST_P(FiberLocal, AnInitialiserMayParkAndAskForOthers) {
  weft::fiber_local<int> inner([] {
    weft::sleep(10us);
    return 2;
  });
  weft::fiber_local<int> outer([&] { return *inner * 10; });
  inside([&] {
    EXPECT_EQ(*outer, 20);
    EXPECT_EQ(*inner, 2);
  });
}

TEST_P(FiberLocal, MayGoBeforeTheFibersThatUseIt) {
  std::atomic<int> alive{0};
  struct counted {
    std::atomic<int>& alive;
    int value = 1;
    explicit counted(std::atomic<int>& at) : alive(at) { ++alive; }
    counted(const counted&) = delete;
    ~counted() { --alive; }
  };
  inside([&] {
    std::atomic<bool> go_on{false};
    std::atomic<int> have_it{0};
    auto local = std::make_unique<weft::fiber_local<counted>>([&] { return counted(alive); });
    std::vector<weft::fiber<void>> users;
    for (int i = 0; i < 10; ++i)
      users.push_back(weft::go([&] {
        (*local)->value = 9;
        ++have_it;
        while (!go_on) weft::sleep(50us);
        // Its place is another's by now, which must not see the left-over.
        weft::fiber_local<counted> next([&] { return counted(alive); });
        EXPECT_EQ(next->value, 1);
      }));
    (*local)->value = 9;
    while (have_it < 10) weft::yield();
    local.reset();
    EXPECT_EQ(alive, 10);  // our own went with it
    go_on = true;
    for (auto& each : users) each.join();
    EXPECT_EQ(alive, 0);
  });
}

// The left-over goes in a call that has nothing to do with it.
TEST_P(FiberLocal, AValueThatIsLeftOverMayParkAsItGoesInACancelledFiber) {
  struct parks {
    std::atomic<int>* gone = nullptr;
    ~parks() {
      weft::yield();
      if (gone != nullptr) ++*gone;
    }
  };
  inside([] {
    std::atomic<int> gone{0};
    auto first = std::make_unique<weft::fiber_local<parks>>();
    std::unique_ptr<weft::fiber_local<int>> second;
    auto user = weft::go([&] {
      first->get().gone = &gone;
      EXPECT_THROW(weft::sleep(1h), weft::cancelled);
      second->get() = 2;
      EXPECT_EQ(gone, 1);
      weft::fiber_local<parks> third;
      third.get().gone = &gone;
    });
    weft_test::until_parked(1);
    first.reset();
    second = std::make_unique<weft::fiber_local<int>>();  // at the place of the first
    user.cancel();
    user.join();
    EXPECT_EQ(gone, 2);
  });
}

TEST_P(FiberLocal, ALocalOneInALoopDoesNotPileUp) {
  std::atomic<int> alive{0};
  struct counted {
    std::atomic<int>& alive;
    explicit counted(std::atomic<int>& at) : alive(at) { ++alive; }
    counted(const counted&) = delete;
    ~counted() { --alive; }
  };
  inside([&] {
    for (int i = 0; i < 1000; ++i) {
      weft::fiber_local<counted> brief([&] { return counted(alive); });
      brief.get();
      EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
    // Made here, used there, for a fiber that lives on.
    std::vector<std::unique_ptr<weft::fiber_local<counted>>> many;
    auto make = [&] { return counted(alive); };
    std::atomic<int> turn{0};
    auto user = weft::go([&] {
      for (int i = 0; i < 100; ++i) {
        while (turn != 2 * i + 1) weft::yield();
        many.back()->get();
        ++turn;
      }
      EXPECT_LE(alive, 2);
    });
    for (int i = 0; i < 100; ++i) {
      many.push_back(std::make_unique<weft::fiber_local<counted>>(make));
      ++turn;
      while (turn != 2 * i + 2) weft::yield();
      many.pop_back();
    }
    user.join();
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(FiberLocal, ManyVariablesInManyFibers) {
  std::vector<std::unique_ptr<weft::fiber_local<std::string>>> all;
  for (int i = 0; i < 100; ++i) all.push_back(std::make_unique<weft::fiber_local<std::string>>());
  inside([&] {
    weft::group tasks;
    for (int f = 0; f < 50; ++f)
      tasks.go([&, f] {
        for (std::size_t i = static_cast<std::size_t>(f); i < all.size(); i += 7)
          all[i]->get() = std::to_string(f);
        weft::yield();
        for (std::size_t i = static_cast<std::size_t>(f); i < all.size(); i += 7)
          EXPECT_EQ(all[i]->get(), std::to_string(f));
      });
    tasks.wait();
  });
}

struct throws_at_end {
  ~throws_at_end() noexcept(false) { throw std::runtime_error("from a destructor"); }
};

TEST(FiberLocalDeath, ADestructorThatThrowsEndsTheProgram) {
  EXPECT_DEATH(weft::run([] {
                 weft::fiber_local<throws_at_end> bad;
                 weft::go([&] { bad.get(); }).join();
               }),
               "");
}

struct comes_back {
  const weft::fiber_local<comes_back>* of = nullptr;
  ~comes_back() {
    if (of != nullptr) of->get().of = of;
  }
};

TEST(FiberLocalDeath, DestructorsThatMakeValuesWithoutEndAreReported) {
  EXPECT_DEATH(weft::run([] {
                 weft::fiber_local<comes_back> bad;
                 weft::go([&] { bad.get().of = &bad; }).join();
               }),
               "without an end");
}

// ---- context_var

TEST_P(ContextVar, IsInheritedAndThenOnesOwn) {
  weft::context_var<std::string> name("none");
  inside([&] {
    EXPECT_EQ(name.get(), "none");
    name.set("parent");
    auto child = weft::go([&] {
      EXPECT_EQ(name.get(), "parent");
      auto grandchild = weft::go([&] { EXPECT_EQ(name.get(), "parent"); });
      name.set("child");
      weft::yield();
      EXPECT_EQ(name.get(), "child");
      grandchild.join();
      weft::group tasks;
      tasks.go([&] { EXPECT_EQ(name.get(), "child"); });
      tasks.wait();
    });
    name.set("changed");
    child.join();
    EXPECT_EQ(name.get(), "changed");
  });
  EXPECT_EQ(name.get(), "none");
}

TEST_P(ContextVar, TheFirstFiberInheritsFromTheThread) {
  weft::context_var<int> depth;
  weft::context_var<int>::scope here(depth, 4);
  inside([&] {
    EXPECT_EQ(depth.get(), 4);
    depth.set(5);
  });
  EXPECT_EQ(depth.get(), 4);
  weft::runtime fibers(how());
  EXPECT_EQ(fibers.go([&] { return depth.get(); }).join(), 4);
  std::thread([&] { EXPECT_EQ(depth.get(), 0); }).join();
}

TEST_P(ContextVar, AScopePutsBackWhatWasBefore) {
  weft::context_var<int> a(1);
  weft::context_var<int> b(2);
  inside([&] {
    {
      weft::context_var<int>::scope one(a, 10);
      weft::context_var<int>::scope two(b, 20);
      EXPECT_EQ(a.get() + b.get(), 30);
      auto child = weft::go([&] {
        weft::sleep(100us);
        return a.get() + b.get();
      });
      {
        weft::context_var<int>::scope three(a, 100);
        b.set(200);
        EXPECT_EQ(a.get() + b.get(), 300);
      }
      EXPECT_EQ(a.get() + b.get(), 210);
      EXPECT_EQ(child.join(), 30);
    }
    EXPECT_EQ(a.get() + b.get(), 3);
    // Nothing is set any more, so a spawn shares nothing.
    weft::go([&] { EXPECT_EQ(weft::detail::current_fiber()->storage.context, nullptr); }).join();
  });
}

TEST_P(ContextVar, ValuesLiveAsLongAsSomeoneInheritedThem) {
  auto value = std::make_shared<int>(3);
  const std::weak_ptr<int> watch = value;
  inside([&] {
    auto var = std::make_unique<weft::context_var<std::shared_ptr<int>>>();
    std::atomic<bool> go_on{false};
    std::optional<weft::context_var<std::shared_ptr<int>>::scope> here;
    here.emplace(*var, std::move(value));
    auto child = weft::go([&] {
      while (!go_on) weft::sleep(50us);
      EXPECT_EQ(*var->get(), 3);
    });
    here.reset();
    EXPECT_FALSE(watch.expired());
    go_on = true;
    child.join();
    EXPECT_TRUE(watch.expired());  // before joiners knew
    // Also with a child that is cancelled before it starts, and with a variable that goes first.
    here.emplace(*var, std::make_shared<int>(4));
    const std::weak_ptr<int> second = var->get();
    weft::pin_guard stay;
    auto never = weft::go([] {});
    never.cancel();
    here.reset();
    var.reset();
    never.wait();
    EXPECT_TRUE(second.expired());
  });
}

TEST_P(ContextVar, ManyFibersShareOneMapAndChangeTheirOwn) {
  weft::context_var<int> shared(0);
  weft::context_var<int> own(0);
  inside([&] {
    shared.set(1);
    for (int round = 0; round < 20; ++round) {
      weft::group tasks;
      for (int f = 0; f < 50; ++f)
        tasks.go([&, f] {
          EXPECT_EQ(own.get(), 0);
          own.set(f);
          weft::yield();
          tasks.go([&, f] { EXPECT_EQ(own.get(), f); });
          EXPECT_EQ(own.get(), f);
          EXPECT_EQ(shared.get(), 1);
        });
      tasks.wait();
    }
  });
}

}  // namespace
