// Every parking call of the library, each put through the same: woken by a cancellation, by a
// deadline and by the end of the runtime, and told so once a call. See docs/cancellation.md.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "io/socket_support.hpp"
#include "support/fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft_test::descriptors;

class EveryWait : public weft_test::fiber_fixture {};
FIBER_SUITE(EveryWait);

using call = std::function<void()>;

// A call that would wait for ever, and how many fibers are then parked in all. What it needs is
// made by prepare(), inside a fiber, and lives as long as the call.
struct wait {
  std::string name;
  std::function<call()> prepare;
  std::size_t parked = 1;
};

// A call on an object of its own.
template <class T, class F, class... Args>
std::function<call()> on_a(F body, Args... args) {
  return [body, args...] {
    auto object = std::make_shared<T>(args...);
    return [object, body] { body(*object); };
  };
}

template <class F>
std::function<call()> plain(F body) {
  return [body] { return call(body); };
}

constexpr auto for_ever = [] { weft::sleep(1h); };

std::vector<wait> structured_waits() {
  return {
      {"sleep", plain(for_ever)},
      {"sleep_until",
       plain([] { weft::sleep_until(std::chrono::steady_clock::time_point::max()); })},
      {"ticker", on_a<weft::ticker>([](auto& each) { each.next(); }, 1h)},
      {"join",
       [] {
         auto other = std::make_shared<weft::fiber<void>>(weft::go(for_ever));
         return [other] { other->join(); };
       },
       2},
      {"wait_for",
       [] {
         auto other = std::make_shared<weft::fiber<void>>(weft::go(for_ever));
         return [other] { other->wait_for(1h); };
       },
       2},
      {"group::wait", plain([] {
         weft::group tasks;
         tasks.go(for_ever);
         tasks.wait();
       }),
       2},
      {"group::go", plain([] {
         weft::group tasks;
         tasks.set_limit(1);
         tasks.go(for_ever);
         tasks.go(for_ever);
         tasks.wait();
       }),
       2},
      {"gather", plain([] { weft::gather(for_ever, for_ever); }), 3},
      {"map", plain([] {
         weft::map(std::vector<int>{1, 2, 3}, 2, [](int n) {
           weft::sleep(1h);
           return n;
         });
       }),
       3},
      {"race", plain([] { weft::race(for_ever, for_ever); }), 3},
      {"generator", plain([] {
         weft::generator<int> numbers([](auto& yield) {
           weft::sleep(1h);
           yield(1);
         });
         for (int n : numbers) static_cast<void>(n);
       })},
      {"await_callback", plain([] {
         weft::completer<int> kept;
         weft::await_callback<int>([&](weft::completer<int> done) { kept = std::move(done); });
       })},
      {"future::get", plain([] {
         weft::promise<int> never_kept;
         never_kept.get_future().get();
       })},
  };
}

std::vector<wait> shared_waits() {
  using channel = weft::channel<int>;
  return {
      {"channel::recv", on_a<channel>([](auto& c) { c.recv(); })},
      {"channel::recv_for", on_a<channel>([](auto& c) { c.recv_for(1h); })},
      {"channel::send", on_a<channel>([](auto& c) { c.send(1); })},
      {"channel::send_for", on_a<channel>([](auto& c) { c.send_for(1, 1h); })},
      {"channel, range-for", on_a<channel>([](auto& c) {
         for (int n : c) static_cast<void>(n);
       })},
      {"select", on_a<channel>([](auto& c) {
         weft::select(weft::on_recv(c, [](std::optional<int>) {}), weft::on_send(c, 1),
                      weft::after(1h));
       })},
      {"condition_variable::wait", plain([] {
         weft::mutex lock;
         weft::condition_variable changed;
         std::unique_lock<weft::mutex> hold(lock);
         try {
           changed.wait(hold);
         } catch (...) {
           EXPECT_TRUE(hold.owns_lock());
           throw;
         }
       })},
      {"condition_variable::wait_for", plain([] {
         weft::mutex lock;
         weft::condition_variable changed;
         std::unique_lock<weft::mutex> hold(lock);
         changed.wait_for(hold, 1h, [] { return false; });
       })},
      {"semaphore::acquire", on_a<weft::counting_semaphore<>>([](auto& s) { s.acquire(); }, 0)},
      {"semaphore::try_acquire_for",
       on_a<weft::binary_semaphore>([](auto& s) { s.try_acquire_for(1h); }, 0)},
      {"latch::wait", on_a<weft::latch>([](auto& l) { l.wait(); }, 1)},
      {"barrier::arrive_and_wait", on_a<weft::barrier<>>([](auto& b) { b.arrive_and_wait(); }, 3)},
      {"event::wait", on_a<weft::event>([](auto& e) { e.wait(); })},
      {"wait_group::wait", plain([] {
         weft::wait_group left;
         left.add(1);
         left.wait();
       })},
  };
}

std::vector<wait> io_waits() {
  auto pipe_call = [](auto body) {
    return [body] {
      auto pipe = std::make_shared<descriptors>(descriptors::pipe());
      return [pipe, body] { body((*pipe)[0], (*pipe)[1]); };
    };
  };
  auto tcp_call = [](auto body) {
    return [body] {
      auto listener = std::make_shared<weft::tcp_listener>(weft::listen_tcp("127.0.0.1", 0));
      auto client =
          std::make_shared<weft::tcp_stream>(weft::connect_tcp("127.0.0.1", listener->port()));
      auto server = std::make_shared<weft::tcp_stream>(listener->accept());
      return [body, client, server] { body(*client); };
    };
  };
  return {
      {"wait_readable", pipe_call([](int from, int) { weft::wait_readable(from); })},
      {"read(fd)", pipe_call([](int from, int) {
         char byte;
         weft::read(from, &byte, 1);
       })},
      {"write(fd)", pipe_call([](int, int to) {
         const std::string much(1 << 20, 'x');
         weft::write(to, much.data(), much.size());
       })},
      {"accept",
       [] {
         auto listener = std::make_shared<weft::tcp_listener>(weft::listen_tcp("127.0.0.1", 0));
         return [listener] { listener->accept(); };
       }},
      {"serve",
       [] {
         auto listener = std::make_shared<weft::tcp_listener>(weft::listen_tcp("127.0.0.1", 0));
         return [listener] { weft::serve(*listener, [](weft::tcp_stream) {}); };
       }},
      {"tcp_stream::read", tcp_call([](weft::tcp_stream& stream) {
         char byte[1];
         stream.read(byte);
       })},
      {"tcp_stream::write",
       tcp_call([](weft::tcp_stream& stream) { stream.write(std::string(64 << 20, 'x')); })},
      {"wait_signal", plain([] { weft::wait_signal({SIGUSR1}); })},
      {"signal_listener::next",
       on_a<weft::signal_listener>([](auto& heard) { heard.next(); }, std::vector<int>{SIGUSR1})},
      {"process::wait",
       [] {
         auto other = std::make_shared<weft::process>(weft::spawn_process({"sleep", "1000"}));
         return [other] { other->wait(); };
       }},
  };
}

std::vector<wait> all_waits() {
  std::vector<wait> all = structured_waits();
  for (wait& each : shared_waits()) all.push_back(std::move(each));
  for (wait& each : io_waits()) all.push_back(std::move(each));
  return all;
}

// Calls it twice: the second time the request is there before the call.
int times_cancelled(const call& body) {
  int times = 0;
  for (int i = 0; i < 2; ++i) {
    try {
      body();
    } catch (const weft::cancelled&) {
      ++times;
    }
  }
  return times;
}

TEST_P(EveryWait, IsWokenByACancellationAndToldOnceACall) {
  for (const wait& each : all_waits()) {
    SCOPED_TRACE(each.name);
    inside([&] {
      auto waiter = weft::go([body = each.prepare()] { return times_cancelled(body); });
      weft_test::until_parked(each.parked);
      waiter.cancel();
      EXPECT_EQ(waiter.join(), 2);
    });
  }
}

TEST_P(EveryWait, IsWokenByADeadline) {
  for (const wait& each : all_waits()) {
    SCOPED_TRACE(each.name);
    inside([&] {
      const call body = each.prepare();
      EXPECT_THROW(weft::with_timeout(2ms, body), weft::timed_out);
      EXPECT_FALSE(weft::cancel_requested());
      weft::sleep(1us);  // the fiber itself goes on
    });
  }
}

TEST_P(EveryWait, EndsWithTheRuntimeAndUnwinds) {
  std::atomic<int> ended{0};
  struct counts {
    std::atomic<int>& at;
    ~counts() { ++at; }
  };
  const std::vector<wait> all = all_waits();
  inside([&] {
    std::size_t parked = 0;
    for (const wait& each : all) {
      weft::go([&ended, body = each.prepare()] {
        counts on_exit{ended};
        body();
      });
      parked += each.parked;
    }
    weft_test::until_parked(parked);
  });
  EXPECT_EQ(ended, static_cast<int>(all.size()));
}

// What users of std need: a lock is waited for whatever happens.
TEST_P(EveryWait, ForALockIgnoresACancellation) {
  inside([] {
    auto check = [](auto& lock, auto take, auto release) {
      lock.lock();
      bool got = false, told = false;
      auto waiter = weft::go([&] {
        take(lock);
        got = true;
        release(lock);
        try {
          weft::sleep(1h);
        } catch (const weft::cancelled&) {
          told = true;
        }
      });
      weft_test::until_parked(1);
      waiter.cancel();
      for (int i = 0; i < 3; ++i) weft::yield();
      EXPECT_FALSE(got);
      lock.unlock();
      waiter.wait();
      EXPECT_TRUE(got);
      EXPECT_TRUE(told);
    };
    auto lock = [](auto& it) { it.lock(); };
    auto unlock = [](auto& it) { it.unlock(); };
    weft::mutex plain;
    check(plain, lock, unlock);
    weft::recursive_mutex recursive;
    check(recursive, lock, unlock);
    weft::shared_mutex shared;
    check(shared, lock, unlock);
    check(
        shared, [](auto& it) { it.lock_shared(); }, [](auto& it) { it.unlock_shared(); });
  });
}

}  // namespace
