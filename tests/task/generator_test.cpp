// Generators: on plain threads and in fibers, that park, throw, nest, move and are abandoned.
#include <weft/generator.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::generator;

class Generator : public weft_test::fiber_fixture {};
FIBER_SUITE(Generator);

generator<int> numbers(int from, int to) {
  return generator<int>([from, to](auto& yield) {
    for (int i = from; i < to; ++i) yield(i);
  });
}

template <class T>
std::vector<T> all_of(generator<T>& from) {
  std::vector<T> seen;
  for (auto&& each : from) seen.push_back(each);
  return seen;
}

std::size_t stacks_in_use() { return weft::detail::stacks::count().in_use; }

struct count_lives {
  std::atomic<int>* alive;
  explicit count_lives(std::atomic<int>& at) : alive(&at) { ++*alive; }
  count_lives(const count_lives& other) : alive(other.alive) { ++*alive; }
  count_lives& operator=(const count_lives&) = delete;
  ~count_lives() { --*alive; }
};

// ---- plain threads: no runtime

TEST(PlainGenerator, GivesItsValuesInOrder) {
  std::vector<int> seen;
  for (int i : numbers(0, 5)) seen.push_back(i);
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(PlainGenerator, NextGivesNullAtTheEndAndEverAfter) {
  auto two = numbers(0, 2);
  EXPECT_EQ(*two.next(), 0);
  EXPECT_FALSE(two.done());
  EXPECT_EQ(*two.next(), 1);
  EXPECT_EQ(two.next(), nullptr);
  EXPECT_TRUE(two.done());
  EXPECT_EQ(two.next(), nullptr);
  EXPECT_TRUE(two.begin() == two.end());
}

TEST(PlainGenerator, NothingRunsBeforeTheFirstValueIsAskedFor) {
  bool began = false;
  generator<int> lazy([&](auto& yield) {
    began = true;
    yield(1);
  });
  EXPECT_FALSE(began);
  EXPECT_EQ(*lazy.begin(), 1);
  EXPECT_TRUE(began);
}

TEST(PlainGenerator, BeginOnABegunOneStandsWhereItIs) {
  auto some = numbers(0, 10);
  for (int i : some)
    if (i == 3) break;
  std::vector<int> rest = all_of(some);
  EXPECT_EQ(rest, (std::vector<int>{3, 4, 5, 6, 7, 8, 9}));
}

TEST(PlainGenerator, TheConsumerSeesTheProducersObject) {
  std::array<char, 100'000> big{};
  const void* made_at = &big;
  generator<std::array<char, 100'000>> by_address([&](auto& yield) {
    yield(big);
    EXPECT_EQ(big[7], 'x');
  });
  auto* seen = by_address.next();
  EXPECT_EQ(static_cast<const void*>(seen), made_at);
  (*seen)[7] = 'x';
  EXPECT_EQ(by_address.next(), nullptr);
}

struct counts_copies {
  int* copies;
  explicit counts_copies(int& at) : copies(&at) {}
  counts_copies(const counts_copies& other) : copies(other.copies) { ++*copies; }
  counts_copies(counts_copies&& other) noexcept = default;
  counts_copies& operator=(const counts_copies&) = delete;
};

TEST(PlainGenerator, OnlyAConstObjectIsCopied) {
  int copies = 0;
  generator<counts_copies> values([&](auto& yield) {
    counts_copies mine(copies);
    yield(mine);
    EXPECT_EQ(copies, 0);
    yield(counts_copies(copies));
    EXPECT_EQ(copies, 0);
    const counts_copies fixed(copies);
    yield(fixed);
    EXPECT_EQ(copies, 1);
  });
  while (values.next() != nullptr) {
  }
  generator<const counts_copies> views([&](auto& yield) {
    const counts_copies fixed(copies);
    yield(fixed);
    yield(counts_copies(copies));
  });
  copies = 0;
  for (const counts_copies& each : views) EXPECT_EQ(each.copies, &copies);
  EXPECT_EQ(copies, 0);
}

TEST(PlainGenerator, MoveOnlyValuesCanBeTaken) {
  generator<std::unique_ptr<int>> owners([](auto& yield) {
    for (int i = 0; i < 3; ++i) yield(std::make_unique<int>(i));
  });
  int sum = 0;
  for (auto& each : owners) {
    std::unique_ptr<int> mine = std::move(each);
    sum += *mine;
  }
  EXPECT_EQ(sum, 3);
}

TEST(PlainGenerator, ReferencesReferToWhatWasYielded) {
  int local = 1;
  generator<int&> changing([&](auto& yield) {
    yield(local);
    EXPECT_EQ(local, 2);
  });
  for (int& each : changing) each = 2;

  const std::vector<std::string> words{"a", "b"};
  generator<const std::string&> viewing([&](weft::yielder<const std::string&>& yield) {
    for (const auto& each : words) yield(each);
    yield("temporary");
  });
  EXPECT_EQ(viewing.next(), &words[0]);
  EXPECT_EQ(viewing.next(), &words[1]);
  EXPECT_EQ(*viewing.next(), "temporary");

  generator<std::string&&> giving([](auto& yield) { yield(std::string(100, 'x')); });
  std::string taken = *giving.begin();
  EXPECT_EQ(taken.size(), 100u);
}

TEST(PlainGenerator, ConvertsWhatIsYielded) {
  generator<std::string> text([](auto& yield) {
    yield("literal");
    yield({"xxxxx", 3});
  });
  EXPECT_EQ(all_of(text), (std::vector<std::string>{"literal", "xxx"}));
  generator<const std::string> constant([](auto& yield) { yield({}); });
  EXPECT_EQ(*constant.begin(), "");
}

TEST(PlainGenerator, AnExceptionReachesTheConsumerWhereItAsks) {
  generator<int> at_once([](auto&) { throw std::runtime_error("begin"); });
  EXPECT_THROW(at_once.begin(), std::runtime_error);
  EXPECT_TRUE(at_once.done());
  EXPECT_EQ(at_once.next(), nullptr);

  generator<int> later([](auto& yield) {
    yield(1);
    throw std::runtime_error("later");
  });
  auto at = later.begin();
  EXPECT_EQ(*at, 1);
  EXPECT_THROW(++at, std::runtime_error);
  EXPECT_TRUE(at == later.end());
}

TEST(PlainGenerator, AHandleThatRefersToNothingIsALogicError) {
  generator<int> none;
  EXPECT_FALSE(none);
  EXPECT_THROW(none.next(), std::logic_error);
  EXPECT_THROW(none.begin(), std::logic_error);
  EXPECT_THROW(none.done(), std::logic_error);
  auto some = numbers(0, 3);
  generator<int> moved = std::move(some);
  EXPECT_THROW(some.next(), std::logic_error);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(*moved.next(), 0);
}

TEST(PlainGenerator, IteratorsFollowAMovedGenerator) {
  auto first = numbers(0, 3);
  auto at = first.begin();
  generator<int> second = std::move(first);
  ++at;
  EXPECT_EQ(*at, 1);
  second = numbers(10, 12);
  EXPECT_EQ(*second.next(), 10);
}

TEST(PlainGenerator, SizesOfStacksAreChecked) {
  EXPECT_THROW(generator<int>({std::size_t{2} << 30}, [](auto&) {}), std::invalid_argument);
  generator<int> small({16 * 1024}, [](auto& yield) { yield(1); });
  EXPECT_EQ(*small.next(), 1);
}

// ---- abandonment

TEST(PlainGenerator, ANeverStartedOneJustDropsItsCallable) {
  const std::size_t before = stacks_in_use();
  std::atomic<int> alive{0};
  {
    bool ran = false;
    generator<int> unused([&ran, life = count_lives(alive)](auto&) { ran = true; });
    EXPECT_GT(alive, 0);
    EXPECT_EQ(stacks_in_use(), before);
    generator<int> other = std::move(unused);
    other = generator<int>();
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(ran);
  }
}

TEST(PlainGenerator, AbandoningUnwindsAtEveryPoint) {
  const std::size_t before = stacks_in_use();
  std::atomic<int> alive{0};
  for (int stop_after = 0; stop_after <= 6; ++stop_after) {
    bool finished = false;
    {
      generator<int> half([&, life = count_lives(alive)](auto& yield) {
        count_lives outer(alive);
        for (int i = 0; i < 5; ++i) {
          count_lives inner(alive);
          yield(i);
        }
        finished = true;
      });
      for (int i = 0; i < stop_after; ++i) half.next();
      if (stop_after == 3) {
        EXPECT_EQ(alive, 3);
      }
    }
    EXPECT_EQ(alive, 0) << stop_after;
    EXPECT_EQ(finished, stop_after == 6);
    EXPECT_EQ(stacks_in_use(), before);
  }
}

TEST(PlainGenerator, ABodyThatSwallowsTheUnwindingGetsItAgain) {
  int swallowed = 0;
  std::exception* seen = nullptr;
  {
    generator<int> stubborn([&](auto& yield) {
      for (int i = 0; i < 100; ++i) {
        try {
          yield(i);
        } catch (std::exception& found) {
          seen = &found;
        } catch (...) {
          ++swallowed;
          EXPECT_NE(std::current_exception(), nullptr);
        }
      }
    });
    stubborn.next();
    stubborn.next();
  }
  EXPECT_EQ(swallowed, 99);  // the second value, and all those after it
  EXPECT_EQ(seen, nullptr);
}

TEST(PlainGenerator, WhatAnAbandonedBodyThrowsIsDropped) {
  {
    generator<int> other([](auto& yield) {
      try {
        yield(1);
      } catch (...) {
        throw std::runtime_error("instead");
      }
    });
    other.next();
  }
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(PlainGenerator, MayYieldInADestructorOfAnAbandonedBodyOnlyToUnwindOn) {
  struct yields_late {
    weft::yielder<int>& yield;
    int& thrown;
    ~yields_late() {
      try {
        yield(99);
      } catch (...) {
        ++thrown;
      }
    }
  };
  int thrown = 0;
  {
    generator<int> half([&](weft::yielder<int>& yield) {
      yields_late late{yield, thrown};
      yield(1);
    });
    EXPECT_EQ(*half.next(), 1);
  }
  EXPECT_EQ(thrown, 1);
  generator<int> whole([&](weft::yielder<int>& yield) { yields_late late{yield, thrown}; });
  EXPECT_EQ(*whole.next(), 99);
  EXPECT_EQ(whole.next(), nullptr);
  EXPECT_EQ(thrown, 1);
}

// ---- misuse

TEST(PlainGenerator, ResumedFromItsOwnBodyIsALogicError) {
  generator<int>* self = nullptr;
  generator<int> g([&](auto& yield) {
    EXPECT_THROW(self->next(), std::logic_error);
    yield(1);
    EXPECT_THROW(self->begin(), std::logic_error);
    EXPECT_THROW(yield.from(*self), std::logic_error);
    yield(2);
  });
  self = &g;
  EXPECT_EQ(all_of(g), (std::vector<int>{1, 2}));
}

TEST(PlainGenerator, YieldOutsideTheBodyIsALogicError) {
  weft::yielder<int>* stolen = nullptr;
  generator<int> g([&](weft::yielder<int>& yield) {
    stolen = &yield;
    std::thread([&] { EXPECT_THROW(yield(7), std::logic_error); }).join();
    yield(1);
    yield(2);
  });
  EXPECT_EQ(*g.next(), 1);
  EXPECT_THROW((*stolen)(5), std::logic_error);
  EXPECT_EQ(*g.next(), 2);
}

TEST(PlainGenerator, DestroyedByItsOwnBodyAbortsWithAMessage) {
  EXPECT_DEATH(
      {
        auto* g = new generator<int>();
        *g = generator<int>([g](auto&) { delete g; });
        g->next();
      },
      "destroyed while its body ran");
}

// ---- nesting

struct node {
  int value;
  std::unique_ptr<node> left, right;
};

std::unique_ptr<node> tree_of(int from, int to) {
  if (from == to) return nullptr;
  const int middle = from + (to - from) / 2;
  auto made = std::make_unique<node>();
  made->value = middle;
  made->left = tree_of(from, middle);
  made->right = tree_of(middle + 1, to);
  return made;
}

generator<int> walk(const node* at) {
  return generator<int>([at](auto& yield) {
    if (at == nullptr) return;
    yield.from(walk(at->left.get()));
    yield(at->value);
    yield.from(walk(at->right.get()));
  });
}

generator<int> walk_by_hand(const node* at) {
  return generator<int>([at](auto& yield) {
    if (at == nullptr) return;
    for (int each : walk_by_hand(at->left.get())) yield(each);
    yield(at->value);
    for (int each : walk_by_hand(at->right.get())) yield(each);
  });
}

void walk_inside(const node* at, weft::yielder<int>& yield) {
  if (at == nullptr) return;
  walk_inside(at->left.get(), yield);
  yield(at->value);
  walk_inside(at->right.get(), yield);
}

std::vector<int> up_to(int n) {
  std::vector<int> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

void expect_three_walks() {
  const auto tree = tree_of(0, 200);
  auto delegated = walk(tree.get());
  EXPECT_EQ(all_of(delegated), up_to(200));
  auto by_hand = walk_by_hand(tree.get());
  EXPECT_EQ(all_of(by_hand), up_to(200));
  generator<int> inside([&](auto& yield) { walk_inside(tree.get(), yield); });
  EXPECT_EQ(all_of(inside), up_to(200));
}

TEST(PlainGenerator, WalksTreesInThreeWays) { expect_three_walks(); }

TEST(PlainGenerator, AbandonedWhileNestedUnwindsFromTheInside) {
  const std::size_t before = stacks_in_use();
  const auto tree = tree_of(0, 100);
  for (int stop_after : {0, 1, 2, 50, 99, 100, 101}) {
    auto delegated = walk(tree.get());
    auto by_hand = walk_by_hand(tree.get());
    for (int i = 0; i < stop_after; ++i) {
      delegated.next();
      by_hand.next();
    }
  }
  EXPECT_EQ(stacks_in_use(), before);
}

TEST(PlainGenerator, FromTakesRangesAndWhatIsLeftOfAGenerator) {
  auto begun = numbers(0, 4);
  EXPECT_EQ(*begun.next(), 0);
  EXPECT_EQ(*begun.next(), 1);
  auto ended = numbers(0, 0);
  EXPECT_EQ(ended.next(), nullptr);
  const std::vector<int> fixed{10, 11};
  generator<int> joined([&](auto& yield) {
    yield.from(fixed);
    yield.from(begun);
    yield.from(ended);
    yield.from(numbers(7, 7));
    yield.from(std::array<int, 2>{20, 21});
  });
  EXPECT_EQ(all_of(joined), (std::vector<int>{10, 11, 1, 2, 3, 20, 21}));
  EXPECT_TRUE(begun.done());
}

TEST(PlainGenerator, AChainMayBeTakenOverByAnotherGenerator) {
  generator<int> middle([](auto& yield) {
    yield.from(numbers(0, 4));
    yield(4);
  });
  EXPECT_EQ(*middle.next(), 0);  // stands two deep
  EXPECT_EQ(*middle.next(), 1);
  generator<int> outer([&](auto& yield) {
    yield(-1);
    yield.from(middle);
    yield(5);
  });
  EXPECT_EQ(all_of(outer), (std::vector<int>{-1, 1, 2, 3, 4, 5}));
  EXPECT_TRUE(middle.done());

  auto abandoned = generator<int>([](auto& yield) { yield.from(numbers(0, 4)); });
  EXPECT_EQ(*abandoned.next(), 0);
  generator<int> over([&](auto& yield) { yield.from(std::move(abandoned)); });
  EXPECT_EQ(*over.next(), 0);
  EXPECT_EQ(*over.next(), 1);
}

TEST(PlainGenerator, AnInnerExceptionPassesThroughTheOuterBody) {
  generator<int> outer([](auto& yield) {
    try {
      yield.from(generator<int>([](auto& deeper) {
        deeper(1);
        throw std::runtime_error("inner");
      }));
    } catch (const std::runtime_error&) {
      yield(2);
    }
    yield.from(generator<int>([](auto&) { throw std::domain_error("through"); }));
  });
  EXPECT_EQ(*outer.next(), 1);
  EXPECT_EQ(*outer.next(), 2);
  EXPECT_THROW(outer.next(), std::domain_error);
}

TEST(PlainGenerator, ADelegatedOneCannotBeResumedBySomebodyElse) {
  auto inner = numbers(0, 3);
  generator<int> outer([&](auto& yield) { yield.from(inner); });
  EXPECT_EQ(*outer.next(), 0);
  EXPECT_THROW(inner.next(), std::logic_error);
  generator<int> another([&](auto& yield) { yield.from(inner); });
  EXPECT_THROW(another.next(), std::logic_error);
  EXPECT_EQ(*outer.next(), 1);
}

TEST(PlainGenerator, AnInnerBodyMayUseTheOuterYield) {
  generator<int> outer([](auto& yield) {
    generator<int> inner([&yield](auto& own) {
      yield(1);  // straight to the outer consumer
      own(2);
      yield(3);
    });
    for (int each : inner) yield(each * 10);
    yield.from(generator<int>([&yield](auto& own) {
      yield(4);
      own(5);
      yield.from(numbers(6, 8));
      own(8);
    }));
  });
  EXPECT_EQ(all_of(outer), (std::vector<int>{1, 20, 3, 4, 5, 6, 7, 8}));
  for (int stop_after = 1; stop_after < 8; ++stop_after) {
    generator<int> half([](auto& yield) {
      generator<int> inner([&yield](auto& own) {
        yield(1);
        own(2);
        yield(3);
      });
      for (int each : inner) yield(each);
    });
    for (int i = 0; i < stop_after; ++i) half.next();
  }
}

// ---- exception state

std::string current_message() {
  try {
    throw;
  } catch (const std::exception& found) {
    return found.what();
  }
}

TEST(PlainGenerator, YieldInACatchKeepsEachSidesException) {
  auto make = [](std::string name) {
    return generator<std::string>([name](auto& yield) {
      try {
        throw std::runtime_error(name);
      } catch (const std::exception&) {
        for (int i = 0; i < 3; ++i) {
          yield(current_message());
          EXPECT_EQ(current_message(), name);
        }
      }
      EXPECT_EQ(std::current_exception(), nullptr);
    });
  };
  auto a = make("a");
  auto b = make("b");
  try {
    throw std::runtime_error("consumer");
  } catch (const std::exception&) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(*a.next(), "a");
      EXPECT_EQ(current_message(), "consumer");
      EXPECT_EQ(*b.next(), "b");
      EXPECT_EQ(current_message(), "consumer");
    }
    EXPECT_EQ(b.next(), nullptr);
    EXPECT_EQ(current_message(), "consumer");
  }
  EXPECT_EQ(a.next(), nullptr);
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(PlainGenerator, MayBeDrivenAndAbandonedWhileTheConsumerUnwinds) {
  struct drives {
    int& sum;
    ~drives() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      generator<int> g([](auto& yield) {
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        try {
          throw std::runtime_error("own");
        } catch (...) {
          yield(1);
        }
        yield(2);
        yield(3);
      });
      sum += *g.next();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      sum += *g.next();
    }
  };
  int sum = 0;
  try {
    drives late{sum};
    throw std::logic_error("consumer");
  } catch (const std::logic_error& found) {
    EXPECT_STREQ(found.what(), "consumer");
  }
  EXPECT_EQ(sum, 3);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(PlainGenerator, ABodyMayYieldInADestructorWhileItUnwinds) {
  struct yields {
    weft::yielder<int>& yield;
    ~yields() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      yield(1);
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  generator<int> g([](weft::yielder<int>& yield) {
    try {
      yields late{yield};
      throw std::runtime_error("body");
    } catch (const std::runtime_error&) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
  });
  EXPECT_EQ(*g.next(), 1);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(g.next(), nullptr);
}

TEST(PlainGenerator, MovesBetweenThreads) {
  generator<int> moved([](auto& yield) {
    try {
      throw std::runtime_error("kept");
    } catch (const std::exception&) {
      for (int i = 0; i < 20; ++i) {
        yield(i);
        EXPECT_EQ(current_message(), "kept");
      }
    }
  });
  for (int i = 0; i < 10; ++i) {
    std::thread([&, i] { EXPECT_EQ(*moved.next(), 2 * i); }).join();
    EXPECT_EQ(*moved.next(), 2 * i + 1);
  }
  std::thread([&] { moved = generator<int>(); }).join();
}

TEST(PlainGenerator, OverflowOfItsStackIsReported) {
  if (weft_test::slowness > 1) GTEST_SKIP() << "the checker reports it";
  struct deep {
    static int down(int n, const volatile int& limit) {
      volatile char room[512];
      room[0] = static_cast<char>(n);
      return n == limit ? 0 : down(n + 1, limit) + room[0];
    }
  };
  const volatile int no_limit = 1 << 30;
  auto overflow = [&no_limit] {
    generator<int> g({64 * 1024}, [&no_limit](auto& yield) { yield(deep::down(0, no_limit)); });
    g.next();
  };
  EXPECT_DEATH(overflow(), "stack overflow in a generator of a plain thread: its stack has 5. KiB");
  EXPECT_DEATH(weft::run([&] {
                 weft::this_fiber::set_name("climber");
                 overflow();
               }),
               "stack overflow in a generator of fiber [0-9]+ \"climber\"");
}

#if defined(__cpp_lib_ranges)
static_assert(std::ranges::input_range<generator<int>>);
static_assert(std::input_iterator<generator<std::unique_ptr<int>>::iterator>);
static_assert(std::ranges::input_range<generator<const std::string&>>);
#endif

// ---- in fibers

TEST_P(Generator, WalksTreesInThreeWays) {
  inside([] { expect_three_walks(); });
}

TEST_P(Generator, TheBodyMayPark) {
  inside([] {
    auto other = weft::go([] { return 5; });
    generator<int> parks([&](auto& yield) {
      weft::sleep(100us);
      yield(1);
      yield(other.join());
      weft::yield();
      yield(9);
    });
    EXPECT_EQ(all_of(parks), (std::vector<int>{1, 5, 9}));
  });
}

TEST_P(Generator, ManyParkAndMigrateMidBody) {
  std::atomic<int> moves{0};
  inside([&] {
    weft::group tasks;
    for (int f = 0; f < 20; ++f) {
      tasks.go([&moves, f] {
        const int rounds = 200 / weft_test::slowness;
        generator<int> g([&](auto& yield) {
          std::string mine = "body " + std::to_string(f);
          try {
            throw std::runtime_error(mine);
          } catch (const std::exception&) {
            for (int i = 0; i < rounds; ++i) {
              auto before = std::this_thread::get_id();
              if (i % 3 == 0)
                weft::sleep(1us);
              else
                weft::yield();
              if (std::this_thread::get_id() != before) ++moves;
              EXPECT_EQ(current_message(), mine);
              yield(i);
            }
          }
        });
        int expected = 0;
        try {
          throw std::logic_error("consumer " + std::to_string(f));
        } catch (const std::exception&) {
          for (int i : g) {
            EXPECT_EQ(i, expected++);
            weft::yield();
            EXPECT_EQ(current_message(), "consumer " + std::to_string(f));
          }
        }
        EXPECT_EQ(expected, rounds);
      });
    }
    tasks.wait();
  });
  if (GetParam() == 1) {
    EXPECT_EQ(moves, 0);
  }
}

TEST_P(Generator, MovesFromFiberToFiberAndThread) {
  inside([] {
    generator<int> moved = numbers(0, 400);
    for (int i = 0; i < 100; ++i) {
      moved = weft::go([g = std::move(moved), i]() mutable {
                EXPECT_EQ(*g.next(), 4 * i);
                weft::yield();
                EXPECT_EQ(*g.next(), 4 * i + 1);
                return std::move(g);
              }).join();
      EXPECT_EQ(*moved.next(), 4 * i + 2);
      std::thread([&] { EXPECT_EQ(*moved.next(), 4 * i + 3); }).join();
    }
    EXPECT_EQ(moved.next(), nullptr);
  });
}

TEST_P(Generator, CancellationIsDeliveredInTheBodyAndTravelsOut) {
  inside([] {
    std::atomic<bool> in_body{false};
    std::atomic<bool> at_increment{false};
    auto consumer = weft::go([&] {
      generator<int> g([&](auto& yield) {
        yield(1);
        try {
          weft::sleep(1h);
        } catch (const weft::cancelled&) {
          in_body = true;
          throw;
        }
      });
      auto at = g.begin();
      try {
        ++at;
      } catch (const weft::cancelled&) {
        at_increment = true;
        EXPECT_TRUE(g.done());
        throw;
      }
    });
    weft_test::until_parked(1);
    consumer.cancel();
    EXPECT_THROW(consumer.join(), weft::fiber_cancelled);
    EXPECT_TRUE(in_body);
    EXPECT_TRUE(at_increment);
  });
}

TEST_P(Generator, ATimeoutAroundTheLoopReachesTheBody) {
  inside([] {
    generator<int> slow([](auto& yield) {
      yield(1);
      weft::sleep(1h);
      yield(2);
    });
    int seen = 0;
    EXPECT_THROW(weft::with_timeout(1ms,
                                    [&] {
                                      for (int i : slow) seen += i;
                                    }),
                 weft::timed_out);
    EXPECT_EQ(seen, 1);
    EXPECT_TRUE(slow.done());
  });
}

TEST_P(Generator, ACancelledFiberMayAbandonABodyThatParksInDestructors) {
  inside([] {
    std::atomic<int> slept{0};
    auto consumer = weft::go([&] {
      struct parks {
        std::atomic<int>& slept;
        ~parks() {
          weft::sleep(10us);
          ++slept;
        }
      };
      generator<int> g([&](auto& yield) {
        parks late{slept};
        yield(1);
      });
      g.next();
      weft::sleep(1h);
    });
    weft_test::until_parked(1);
    consumer.cancel();
    EXPECT_THROW(consumer.join(), weft::fiber_cancelled);
    EXPECT_EQ(slept, 1);
  });
}

TEST_P(Generator, WhileTheConsumerUnwindsTheBodyIsNotInterrupted) {
  inside([] {
    int drawn = 0;
    auto consumer = weft::go([&] {
      struct draws {
        int& drawn;
        ~draws() {
          generator<int> g([](auto& yield) {
            for (int i = 0; i < 3; ++i) {
              weft::sleep(10us);
              yield(i);
              weft::check_cancelled();
            }
          });
          while (g.next() != nullptr) ++drawn;
        }
      } late{drawn};
      weft::sleep(1h);
    });
    weft_test::until_parked(1);
    consumer.cancel();
    EXPECT_THROW(consumer.join(), weft::fiber_cancelled);
    EXPECT_EQ(drawn, 3);
  });
}

TEST_P(Generator, YieldInsideWhatBelongsToTheFiberIsALogicError) {
  inside([] {
    generator<int> g([](auto& yield) {
      EXPECT_THROW(weft::with_timeout(1h, [&] { yield(1); }), std::logic_error);
      {
        weft::shield safe;
        EXPECT_THROW(yield(1), std::logic_error);
      }
      {
        weft::group tasks;
        EXPECT_THROW(yield(1), std::logic_error);
      }
      {
        weft::pin_guard here;
        EXPECT_THROW(yield(1), std::logic_error);
        EXPECT_THROW(yield.from(numbers(0, 1)), std::logic_error);
      }
      yield(2);
      weft::with_timeout(1h, [&] { weft::yield(); });
      yield(3);
    });
    EXPECT_EQ(all_of(g), (std::vector<int>{2, 3}));
    // Around the loop all of it is fine, and may be other than at the last value.
    auto some = numbers(0, 4);
    weft::with_timeout(1h, [&] { EXPECT_EQ(*some.next(), 0); });
    weft::pin_guard here;
    EXPECT_EQ(*some.next(), 1);
    weft::shield safe;
    EXPECT_EQ(*some.next(), 2);
  });
}

TEST_P(Generator, ResumedWhileAnotherFiberDrivesItIsALogicError) {
  inside([] {
    std::atomic<bool> go_on{false};
    generator<int> g([&](auto& yield) {
      while (!go_on) weft::sleep(50us);
      yield(1);
    });
    auto driver = weft::go([&] { return *g.next(); });
    weft_test::until_parked(1);
    EXPECT_THROW(g.next(), std::logic_error);
    go_on = true;
    EXPECT_EQ(driver.join(), 1);
  });
}

TEST_P(Generator, TwoAtOnceNeverRunTheBodyTogether) {
  inside([] {
    std::atomic<int> inside_body{0};
    std::atomic<int> refused{0};
    std::atomic<int> got{0};
    generator<int> g([&](auto& yield) {
      for (;;) {
        EXPECT_EQ(++inside_body, 1);
        --inside_body;
        yield(1);
      }
    });
    const int rounds = 100'000 / weft_test::slowness;
    auto draw = [&] {
      for (int i = 0; i < rounds; ++i) {
        try {
          g.next();
          ++got;
        } catch (const std::logic_error&) {
          ++refused;
        }
      }
    };
    auto other = weft::go(draw);
    std::thread third(draw);
    draw();
    other.join();
    third.join();
    EXPECT_EQ(got + refused, 3 * rounds);
    EXPECT_GE(got, rounds / 2);
  });
}

TEST_P(Generator, YieldFromAnotherFiberIsALogicError) {
  inside([] {
    generator<int> g([](auto& yield) {
      weft::go([&] { EXPECT_THROW(yield(5), std::logic_error); }).join();
      yield(1);
    });
    EXPECT_EQ(all_of(g), (std::vector<int>{1}));
  });
}

TEST_P(Generator, AHeldGeneratorDiesWithACancelledFiberThatNeverRan) {
  std::atomic<int> alive{0};
  inside([&] {
    generator<int> begun([life = count_lives(alive)](auto& yield) {
      yield(1);
      yield(2);
    });
    begun.next();
    weft::pin_guard here;  // so that on one worker the child does not start
    auto child = weft::go([g = std::move(begun)]() mutable { g.next(); });
    child.cancel();
    child.wait();
  });
  EXPECT_EQ(alive, 0);
}

TEST_P(Generator, ThousandsAtOnceAndAbandoned) {
  inside([] {
    std::vector<generator<int>> many;
    for (int i = 0; i < 2'000 / weft_test::slowness; ++i) {
      many.push_back(numbers(i, i + 3));
      EXPECT_EQ(*many.back().next(), i);
    }
    weft::yield();
    for (std::size_t i = 0; i < many.size(); i += 2) many[i].next();
  });
}

}  // namespace
