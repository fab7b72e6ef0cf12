// map() and for_each(): order, limits, failures, and what single-pass ranges need.
#include <weft/map.hpp>

#include <array>
#include <atomic>
#include <forward_list>
#include <iterator>
#include <list>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>

#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;

class Map : public weft_test::fiber_fixture {};
FIBER_SUITE(Map);

std::vector<int> numbers(int count) {
  std::vector<int> made(static_cast<std::size_t>(count));
  std::iota(made.begin(), made.end(), 0);
  return made;
}

// Counts who is inside, and the most there ever were.
struct gauge {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};

  struct visit {
    gauge& of;
    explicit visit(gauge& g) : of(g) {
      const int now = ++of.inside;
      int seen = of.most;
      while (now > seen && !of.most.compare_exchange_weak(seen, now)) {
      }
    }
    ~visit() { --of.inside; }
  };
};

TEST_P(Map, KeepsTheOrderOfTheRangeWhateverEndsFirst) {
  inside([] {
    const auto doubled = weft::map(numbers(100), [](int n) {
      weft::sleep(std::chrono::microseconds((n * 37) % 100));
      return 2 * n;
    });
    ASSERT_EQ(doubled.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(doubled[static_cast<std::size_t>(i)], 2 * i);
  });
}

TEST_P(Map, RunsAllAtOnceWithoutALimit) {
  inside([] {
    std::atomic<int> arrived{0};
    weft::for_each(numbers(50), [&](int) {
      ++arrived;
      while (arrived < 50) weft::yield();
    });
    EXPECT_EQ(arrived, 50);
  });
}

TEST_P(Map, RunsAtMostTheLimitAtOnceAndReachesIt) {
  inside([] {
    for (const std::size_t limit : {1u, 3u, 8u}) {
      gauge seen;
      std::atomic<int> total{0};
      weft::for_each(numbers(60), limit, [&](int n) {
        gauge::visit here(seen);
        total += n;
        for (int i = 0; i < 3; ++i) weft::yield();
      });
      EXPECT_EQ(total, 59 * 60 / 2);
      EXPECT_LE(seen.most, static_cast<int>(limit));
      EXPECT_EQ(seen.inside, 0);
    }
    // That the limit is used up too: as many as the limit can meet each other.
    std::atomic<int> arrived{0};
    weft::for_each(numbers(40), 4, [&](int) {
      const int mine = ++arrived;
      while (arrived < (mine + 3) / 4 * 4) weft::yield();
    });
    EXPECT_EQ(arrived, 40);
  });
}

TEST_P(Map, GivesElementsOfAForwardRangeThemselves) {
  inside([] {
    std::array<int, 5> squares{1, 2, 3, 4, 5};
    weft::for_each(squares, 2, [](int& n) { n *= n; });
    EXPECT_EQ(squares, (std::array<int, 5>{1, 4, 9, 16, 25}));

    std::forward_list<std::unique_ptr<int>> owners;  // cannot be copied
    for (int i = 0; i < 3; ++i) owners.push_front(std::make_unique<int>(i));
    const auto seen = weft::map(owners, [](const std::unique_ptr<int>& p) { return *p; });
    EXPECT_EQ(seen, (std::vector<int>{2, 1, 0}));

    const std::list<std::string> words{"a", "bb", "ccc"};
    const auto sizes = weft::map(words, [](const std::string& word) { return word.size(); });
    EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 2, 3}));

    std::vector<bool> bits{true, false, true};
    EXPECT_EQ(weft::map(bits, [](bool b) { return !b; }), (std::vector<bool>{false, true, false}));

    int raw[] = {7, 8};
    EXPECT_EQ(weft::map(raw, [](int n) { return n + 1; }), (std::vector<int>{8, 9}));
  });
}

TEST_P(Map, CopiesElementsOfASinglePassRange) {
  inside([] {
    std::istringstream text("five small words in line");
    struct words {
      std::istringstream& from;
      std::istream_iterator<std::string> begin() const {
        return std::istream_iterator<std::string>(from);
      }
      std::istream_iterator<std::string> end() const { return {}; }
    };
    const auto seen = weft::map(words{text}, 2, [](std::string word) {
      weft::yield();
      return word + "!";
    });
    EXPECT_EQ(seen, (std::vector<std::string>{"five!", "small!", "words!", "in!", "line!"}));
  });
}

TEST_P(Map, AnEmptyRangeIsNoWork) {
  inside([] {
    std::vector<int> none;
    EXPECT_TRUE(weft::map(none, [](int n) { return n; }).empty());
    weft::for_each(none, 1, [](int) { FAIL(); });
  });
}

TEST_P(Map, ResultsNeedNoDefaultConstructor) {
  inside([] {
    struct answer {
      explicit answer(int n) : value(std::make_unique<int>(n)) {}
      std::unique_ptr<int> value;
    };
    const auto answers = weft::map(numbers(3), [](int n) { return answer(n); });
    EXPECT_EQ(*answers[2].value, 2);
  });
}

TEST_P(Map, AFailureCancelsTheRestAndIsRethrownAfterTheyEnded) {
  inside([] {
    std::atomic<int> begun{0}, alive{0};
    auto call = [&](int n) {
      ++begun;
      struct count {
        std::atomic<int>& at;
        explicit count(std::atomic<int>& a) : at(a) { ++at; }
        ~count() { --at; }
      } life{alive};
      if (n == 5) throw std::runtime_error("five");
      weft::sleep(1h);
      return n;
    };
    // Children 0 to 4 sleep; 5 fails, so of the other 994 most never begin.
    EXPECT_THROW(weft::map(numbers(1000), 6, call), std::runtime_error);
    EXPECT_EQ(alive, 0);
    EXPECT_LT(begun, 20);
    EXPECT_THROW(weft::map(numbers(1000), call), std::runtime_error);
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(Map, AFailureOfTheRangeEndsTheCallsThatRun) {
  inside([] {
    std::atomic<int> alive{0};
    struct failing {
      int at = 0;
      int operator*() const { return at; }
      failing& operator++() {
        if (++at == 3) throw std::runtime_error("range");
        return *this;
      }
      bool operator!=(const failing&) const { return true; }
    };
    struct range {
      failing begin() const { return {}; }
      failing end() const { return {}; }
    };
    EXPECT_THROW(weft::for_each(range{},
                                [&](int) {
                                  ++alive;
                                  struct off {
                                    std::atomic<int>& at;
                                    ~off() { --at; }
                                  } on_exit{alive};
                                  weft::sleep(1h);
                                }),
                 std::runtime_error);
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(Map, CancellationAndDeadlinesReachTheCalls) {
  inside([] {
    std::atomic<int> cancelled{0};
    auto nap = [&](int) {
      try {
        weft::sleep(1h);
      } catch (const weft::cancelled&) {
        ++cancelled;
        throw;
      }
    };
    EXPECT_THROW(weft::with_timeout(5ms, [&] { weft::for_each(numbers(100), 10, nap); }),
                 weft::timed_out);
    EXPECT_LE(cancelled, 10);
    cancelled = 0;
    auto whole = weft::go([&] { weft::for_each(numbers(100), nap); });
    weft_test::until_parked(101);
    whole.cancel();
    EXPECT_THROW(whole.join(), weft::fiber_cancelled);
    EXPECT_EQ(cancelled, 100);
  });
}

TEST_P(Map, ALimitOfNothingIsAnError) {
  inside([] { EXPECT_THROW(weft::for_each(numbers(1), 0, [](int) {}), std::invalid_argument); });
  EXPECT_THROW(weft::for_each(numbers(1), [](int) {}), std::logic_error);
}

TEST_P(Map, ACallWithoutAResultIsNotTakenForOne) {
  inside([] {
    auto call = [](int n) {
      if (n == 1) throw weft::cancelled();  // nobody asked; so it is no failure of the group
      return std::make_unique<int>(n);
    };
    EXPECT_THROW(weft::map(numbers(3), call), weft::fiber_cancelled);
  });
}

TEST_P(Map, AFailureEndsTheWaitForTheNextElement) {
  inside([] {
    struct slow {
      int at = 0;
      int operator*() const { return at; }
      slow& operator++() {
        if (++at == 2) weft::sleep(1h);
        return *this;
      }
      bool operator!=(const slow&) const { return true; }
    };
    struct range {
      slow begin() const { return {}; }
      slow end() const { return {}; }
    };
    auto fail = [](int n) {
      if (n == 0) return;
      weft_test::until_parked(1);
      throw std::runtime_error("one");
    };
    EXPECT_THROW(weft::for_each(range{}, fail), std::runtime_error);
    EXPECT_FALSE(weft::cancel_requested());
    // Cancellation from outside comes out as such.
    EXPECT_THROW(weft::with_timeout(2ms, [] { weft::for_each(range{}, [](int) {}); }),
                 weft::timed_out);
    // And what the range itself throws is not taken for it.
    struct stops : slow {
      stops& operator++() { throw weft::cancelled(); }
    };
    struct stopping_range {
      stops begin() const { return {}; }
      stops end() const { return {}; }
    };
    EXPECT_THROW(weft::for_each(stopping_range{}, [](int) {}), weft::cancelled);
  });
}

}  // namespace
