// A model checker for small protocols of atomics: runs every interleaving of a few threads, one
// atomic operation at a time, and says which one broke a rule.
//
// The code under test is the real one, with model::atomic in place of std::atomic. Each "thread" is
// a coroutine that stops before every operation; the explorer decides who goes on. It runs the
// program again and again, depth first over these decisions, and leaves out states it has seen:
// memory plus what each thread has read so far, since that is all a deterministic thread can know.
//
// Memory is sequentially consistent, or `weak`: then each thread has a buffer of stores that become
// visible later, in any order between variables, except that a release store waits for those before
// it. Sequentially consistent stores and all read-modify-writes empty the buffer. That is x86 and a
// bit more (stores of one thread may pass each other, as on Arm), but loads are never reordered.
//
// What is too large for all interleavings can be run with a limit on preemptions: how often a
// thread that could go on is made to wait. Nearly every known bug of this kind needs two or three.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "context/coroutine.hpp"

namespace model {

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
// All runs on one thread, so a sanitizer sees here what a plain build sees, ten times slower.
inline constexpr std::size_t no_limit = 2;
#else
inline constexpr std::size_t no_limit = ~std::size_t{0};
#endif

struct options {
  bool weak = false;
  std::memory_order strongest_store = std::memory_order_seq_cst;  // less: a mutant of the code
  std::size_t most_preemptions = no_limit;                        // in one run
  std::size_t most_steps = 5000;                                  // in one run; more is a livelock
};

struct outcome {
  std::size_t runs = 0;
  std::size_t states = 0;
  std::string failure;  // empty: every interleaving kept the rules
  std::string trace;    // the steps that led to it
};

// One run: fresh objects, the threads that use them, and a rule for when none of them can go on.
struct program {
  std::vector<std::function<void()>> threads;
  std::function<void()> at_rest = [] {};
};

class explorer {
 public:
  explicit explorer(options wanted) : options_(wanted) { current_ = this; }
  ~explorer() {
    closing_ = true;
    over_ = true;
    for (auto& each : threads_)
      while (!each->body->done()) each->body->resume(host_);
    current_ = nullptr;
  }

  outcome run(const std::function<program()>& make) {
    do {
      run_once(make);
      ++outcome_.runs;
    } while (outcome_.failure.empty() && next_path());
    outcome_.states = seen_.size();
    return outcome_;
  }

  // ---- for the threads

  static explorer& current() { return *current_; }

  void fail(const std::string& what) {
    if (!outcome_.failure.empty()) return;
    outcome_.failure = what;
    outcome_.trace = trace();
  }

  // True once nothing can go on and the run is being wound up: threads that wait shall return.
  bool closing() const { return closing_; }

  void learned(std::uint64_t value) {
    if (on_turn_ < 0) return;
    thread& self = *threads_[static_cast<std::size_t>(on_turn_)];
    self.history = mix(self.history, value);
  }

  // Declares that `all_it_knows` decides what the calling thread will do from here on. Threads that
  // loop say so at the top, so that turns of the loop that lead nowhere are the same state.
  void forget(std::uint64_t all_it_knows) {
    if (on_turn_ < 0) return;
    threads_[static_cast<std::size_t>(on_turn_)]->history = mix(0x9e3779b97f4a7c15, all_it_knows);
  }

  // ---- memory

  std::size_t add_variable(std::uint64_t value) {
    memory_.push_back(value);
    return memory_.size() - 1;
  }

  std::uint64_t load(std::size_t at) {
    step("load");
    std::uint64_t value = memory_[at];
    if (on_turn_ >= 0)
      for (const pending& each : buffer())
        if (each.at == at) value = each.value;
    learned(value);
    return value;
  }
  void store(std::size_t at, std::uint64_t value, std::memory_order order) {
    step("store");
    learned(1);
    if (order > options_.strongest_store) order = options_.strongest_store;
    if (!options_.weak || on_turn_ < 0 || order == std::memory_order_seq_cst) {
      flush_all();
      memory_[at] = value;
    } else {
      buffer().push_back({at, value, order == std::memory_order_release});
    }
  }
  // change: old value to new value, or to itself for none. The thread has no turn while `enabled`
  // is given and says no.
  template <class F>
  std::uint64_t exchange(std::size_t at, const char* what, F&& change,
                         const std::function<bool()>& enabled = {}) {
    step(what, &enabled);
    flush_all();
    const std::uint64_t old = memory_[at];
    memory_[at] = change(old);
    learned(old);
    return old;
  }

  std::uint64_t visible(std::size_t at) const { return memory_[at]; }

 private:
  struct pending {
    std::size_t at;
    std::uint64_t value;
    bool release;
  };

  struct thread {
    std::unique_ptr<weft::detail::coroutine> body;
    const std::function<void()>* work = nullptr;
    const std::function<bool()>* enabled = nullptr;
    const char* next_step = "";
    bool ended = true;
    std::uint64_t history = 0;
    std::vector<pending> buffer;
  };

  // A thread goes on, or one of its buffered stores becomes visible.
  struct action {
    std::uint16_t who;
    std::int16_t store;  // -1: go on
  };

  struct decision {
    std::vector<action> choices;
    std::size_t taken = 0;
  };

  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    a ^= b + 0x9e3779b97f4a7c15 + (a << 6) + (a >> 2);
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93;
    a ^= a >> 29;
    return a;
  }

  // Waits for its turn to do the next operation.
  void step(const char* what, const std::function<bool()>* enabled = nullptr) {
    if (on_turn_ < 0 || closing_) return;
    thread& self = *threads_[static_cast<std::size_t>(on_turn_)];
    self.next_step = what;
    self.enabled = enabled;
    self.body->yield();
    self.enabled = nullptr;
  }

  std::vector<pending>& buffer() { return threads_[static_cast<std::size_t>(on_turn_)]->buffer; }
  void flush_all() {
    if (on_turn_ < 0) return;
    for (const pending& each : buffer()) memory_[each.at] = each.value;
    buffer().clear();
  }

  void start_threads(const program& now) {
    while (threads_.size() < now.threads.size()) {
      threads_.push_back(std::make_unique<thread>());
      thread& fresh = *threads_.back();
      // One coroutine serves all runs.
      fresh.body = std::make_unique<weft::detail::coroutine>([this, &fresh](auto& self) {
        while (!over_) {
          (*fresh.work)();
          fresh.ended = true;
          self.yield();
        }
      });
    }
    for (std::size_t i = 0; i < now.threads.size(); ++i) {
      threads_[i]->work = &now.threads[i];
      threads_[i]->ended = false;
      threads_[i]->history = 1;
      threads_[i]->buffer.clear();
      go_on(i);  // to its first step
    }
  }

  void go_on(std::size_t who) {
    on_turn_ = static_cast<int>(who);
    threads_[who]->body->resume(host_);
    on_turn_ = -1;
  }

  void collect_actions(std::size_t count, std::vector<action>& out) {
    out.clear();
    for (std::size_t i = 0; i < count; ++i) {
      thread& each = *threads_[i];
      if (!each.ended && (each.enabled == nullptr || !*each.enabled || (*each.enabled)()))
        out.push_back({static_cast<std::uint16_t>(i), -1});
      for (std::size_t k = 0; k < each.buffer.size(); ++k) {
        bool may = !each.buffer[k].release || k == 0;
        for (std::size_t before = 0; before < k; ++before)
          may = may && each.buffer[before].at != each.buffer[k].at;
        if (may) out.push_back({static_cast<std::uint16_t>(i), static_cast<std::int16_t>(k)});
      }
    }
  }

  // Leaves only what keeps the limit of preemptions.
  void drop_preemptions(std::vector<action>& choices) const {
    if (preemptions_ < options_.most_preemptions) return;
    const auto goes_on = [this](const action& each) { return each.store < 0 && each.who == last_; };
    if (std::none_of(choices.begin(), choices.end(), goes_on)) return;
    const auto preempts = [this](const action& each) {
      return each.store < 0 && each.who != last_;
    };
    choices.erase(std::remove_if(choices.begin(), choices.end(), preempts), choices.end());
  }

  void count_preemption(const std::vector<action>& choices, const action& next) {
    if (next.store >= 0) return;
    for (const action& each : choices)
      if (each.store < 0 && each.who == last_ && next.who != last_) ++preemptions_;
    last_ = next.who;
  }

  bool limited() const { return options_.most_preemptions != ~std::size_t{0}; }

  std::uint64_t state(std::size_t count) const {
    std::uint64_t all = limited() ? mix(last_, preemptions_) : 7;
    for (std::uint64_t value : memory_) all = mix(all, value);
    for (std::size_t i = 0; i < count; ++i) {
      const thread& each = *threads_[i];
      all = mix(all, each.history * 2 + each.ended);
      for (const pending& store : each.buffer)
        all = mix(all, mix(store.at * 2 + store.release, store.value));
    }
    return all;
  }

  void apply(const action& what) {
    thread& who = *threads_[what.who];
    trace_.push_back({what.who, what.store < 0 ? who.next_step : "its store is seen"});
    if (what.store < 0) {
      go_on(what.who);
    } else {
      const auto k = static_cast<std::ptrdiff_t>(what.store);
      const pending seen = who.buffer[static_cast<std::size_t>(k)];
      memory_[seen.at] = seen.value;
      who.buffer.erase(who.buffer.begin() + k);
    }
  }

  void run_once(const std::function<program()>& make) {
    memory_.clear();
    trace_.clear();
    closing_ = false;
    preemptions_ = 0;
    last_ = 0;
    const program now = make();
    start_threads(now);
    const std::size_t count = now.threads.size();
    std::size_t depth = 0;
    bool branching = true;
    std::size_t steps = 0;
    for (std::vector<action> choices;;) {
      collect_actions(count, choices);
      if (branching) drop_preemptions(choices);
      if (choices.empty()) break;
      if (++steps > options_.most_steps) {
        fail("no end: a livelock");
        break;
      }
      // Where the rest has been seen or does not matter the run comes to an end in turns.
      std::size_t next = steps % choices.size();
      if (choices.size() > 1 && branching && depth == path_.size()) {
        branching = outcome_.failure.empty() && seen_.insert(state(count)).second;
        if (branching) path_.push_back({choices, 0});
      }
      if (choices.size() > 1 && branching) next = path_[depth++].taken;
      count_preemption(choices, choices[next]);
      apply(choices[next]);
    }
    if (outcome_.failure.empty()) now.at_rest();
    closing_ = true;
    for (std::size_t i = 0; i < count; ++i)
      while (!threads_[i]->ended) go_on(i);
  }

  // The next leaf of the tree of decisions.
  bool next_path() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().choices.size())
      path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    return true;
  }

  std::string trace() const {
    std::string out;
    for (const auto& [who, what] : trace_)
      out += "  thread " + std::to_string(who) + ": " + what + "\n";
    return out;
  }

  inline static explorer* current_ = nullptr;

  const options options_;
  outcome outcome_;
  weft::detail::host host_;
  std::vector<std::unique_ptr<thread>> threads_;
  std::vector<std::uint64_t> memory_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<decision> path_;
  std::vector<std::pair<unsigned, const char*>> trace_;
  int on_turn_ = -1;        // -1: set-up and rules, which see memory directly
  std::uint16_t last_ = 0;  // who went on last
  std::size_t preemptions_ = 0;
  bool closing_ = false;
  bool over_ = false;
};

// Breaks the run off with this message.
inline void fail(const std::string& what) { explorer::current().fail(what); }
inline void require(bool held, const char* what) {
  if (!held) fail(what);
}
inline void forget(std::uint64_t all_it_knows) { explorer::current().forget(all_it_knows); }
inline bool closing() { return explorer::current().closing(); }

inline outcome explore(const std::function<program()>& make, options wanted = {}) {
  return explorer(wanted).run(make);
}

// Stands in for std::atomic. Compare-exchanges never fail without cause.
template <class T>
class atomic {
 public:
  atomic() noexcept : atomic(T{}) {}
  atomic(T value) noexcept : at_(world().add_variable(encode(value))) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
    return decode(world().load(at_));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    world().store(at_, encode(value), order);
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("exchange", [&](T) { return value; });
  }
  T fetch_add(T by, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_add", [&](T old) { return static_cast<T>(old + by); });
  }
  T fetch_sub(T by, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_sub", [&](T old) { return static_cast<T>(old - by); });
  }
  T fetch_or(T bits, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_or", [&](T old) { return static_cast<T>(old | bits); });
  }
  T fetch_and(T bits, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_and", [&](T old) { return static_cast<T>(old & bits); });
  }
  bool compare_exchange_strong(T& expected, T wanted, std::memory_order = {},
                               std::memory_order = {}) noexcept {
    const T old = change("compare_exchange", [&](T now) { return now == expected ? wanted : now; });
    if (old == expected) return true;
    expected = old;
    return false;
  }
  bool compare_exchange_weak(T& expected, T wanted, std::memory_order = {},
                             std::memory_order = {}) noexcept {
    return compare_exchange_strong(expected, wanted);
  }

  // Waits until `ready` holds for what everyone can see, and exchanges, in one step. When the run
  // is wound up it returns at once.
  T await_exchange(const std::function<bool()>& ready, T value) noexcept {
    return decode(world().exchange(
        at_, "await", [&](std::uint64_t) { return encode(value); }, ready));
  }

  // What everyone can see, without a step: for conditions and rules.
  T visible() const { return decode(world().visible(at_)); }

 private:
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));

  static explorer& world() { return explorer::current(); }
  static std::uint64_t encode(T value) {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T decode(std::uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  template <class F>
  T change(const char* what, F&& next) noexcept {
    return decode(
        world().exchange(at_, what, [&](std::uint64_t old) { return encode(next(decode(old))); }));
  }

  const std::size_t at_;
};

// What a spin lock does, in two steps: one to take it, one to give it back.
class lock {
 public:
  void acquire() {
    taken_.await_exchange([this] { return !taken_.visible(); }, true);
  }
  void release() { taken_.store(false, std::memory_order_release); }

 private:
  atomic<bool> taken_{false};
};

}  // namespace model
