// Redis through hiredis, a C library that brings its own sockets: it reads and writes without
// blocking, and the fiber waits in between.  Try it:  21_redis 127.0.0.1 6379
#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
using connection = std::unique_ptr<redisContext, decltype(&redisFree)>;
using reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

void check(bool good, const redisContext* on) {
  if (!good) throw std::runtime_error(on->errstr);
}

void send(redisContext* on) {
  int done = 0;
  while (redisBufferWrite(on, &done) == REDIS_OK && !done) weft::wait_writable(on->fd);
  check(done != 0, on);
}

reply receive(redisContext* on) {
  for (void* got = nullptr;;) {
    check(redisGetReplyFromReader(on, &got) == REDIS_OK, on);
    if (got != nullptr) return {static_cast<redisReply*>(got), freeReplyObject};
    weft::wait_readable(on->fd);
    check(redisBufferRead(on) == REDIS_OK, on);
  }
}

template <class... Arguments>
reply command(redisContext* on, const char* format, Arguments... arguments) {
  redisAppendCommand(on, format, arguments...);
  send(on);
  reply got = receive(on);
  if (got->type == REDIS_REPLY_ERROR) throw std::runtime_error(got->str);
  return got;
}

int main(int argc, char** argv) {
  weft::run([host = argc > 1 ? argv[1] : "127.0.0.1", port = argc > 2 ? std::atoi(argv[2]) : 6379] {
    const auto connect = [&] {  // under way: the first command waits for it
      connection made(redisConnectNonBlock(host, port), redisFree);
      check(made->err == 0, made.get());
      return made;
    };
    const connection db = connect();
    command(db.get(), "DEL visits jobs");
    weft::for_each(std::vector<int>(10), 10, [&](int) {
      const connection own = connect();
      for (int i = 0; i < 100; ++i) redisAppendCommand(own.get(), "INCRBY %s %d", "visits", i);
      send(own.get());  // one round trip
      for (int i = 0; i < 100; ++i) receive(own.get());
    });
    std::cout << "visits: " << command(db.get(), "GET visits")->str << '\n';
    try {  // what was cut short takes its connection with it: the answer may still come there
      weft::with_timeout(50ms, [&] { command(connect().get(), "BLPOP jobs 0"); });
    } catch (const weft::timed_out&) {
      std::cout << "no job in time\n";
    }

    weft::event subscribed;
    const auto subscribe = [&, own = connect()] {
      command(own.get(), "SUBSCRIBE news");
      subscribed.set();
      for (int i = 0; i < 3; ++i) std::cout << receive(own.get())->element[2]->str << '\n';
    };
    const auto publish = [&] {
      subscribed.wait();
      for (const char* text : {"one", "two", "three"}) command(db.get(), "PUBLISH news %s", text);
    };
    weft::gather(subscribe, publish);
  });
}
