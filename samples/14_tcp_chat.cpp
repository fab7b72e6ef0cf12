// A chat room: what one client says, all others read. A client that does not read is dropped, and
// delays nobody. SIGINT or SIGTERM ends it.  Try it:  14_tcp_chat 7777 &  nc localhost 7777
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
class room {
 public:
  using outbox = weft::channel<std::string>;

  // Everybody but the speaker gets it. A full outbox is closed: that client is too slow.
  void say(const std::string& speaker, const std::string& line) {
    const std::lock_guard<weft::mutex> hold(lock_);
    for (auto& [name, messages] : members_) {
      if (name == speaker || messages.closed()) continue;
      if (!messages.try_send(speaker + ": " + line + "\n")) messages.close();
    }
  }

  bool enter(const std::string& name, const outbox& messages) {
    const std::lock_guard<weft::mutex> hold(lock_);
    return members_.emplace(name, messages).second;
  }

  void leave(const std::string& name) {
    const std::lock_guard<weft::mutex> hold(lock_);
    members_.erase(name);
  }

 private:
  weft::mutex lock_;
  std::map<std::string, outbox> members_;
};

void chat(room& in, weft::tcp_stream client) {
  weft::buffered_reader lines(client, 4096);  // longer lines end the connection
  client.write("What is your name?\n");
  const auto name = weft::with_timeout(1min, [&] { return lines.read_line(); });
  const room::outbox messages(100);
  if (!name || !in.enter(*name, messages)) return client.write("That name is taken.\n");

  struct leaver {
    room& in;
    const std::string& name;
    ~leaver() { in.leave(name); }
  } leave_at_the_end{in, *name};
  in.say(*name, "(enters)");

  // One fiber hears the client, another writes to it; whichever ends first ends both.
  weft::race(
      [&] {
        while (const auto line = lines.read_line()) in.say(*name, *line);
      },
      [&] {
        for (const std::string& message : messages) client.write(message);
      });
  in.say(*name, "(leaves)");
}

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  weft::signal_listener stop{SIGINT, SIGTERM};
  weft::run([&] {
    auto listener = weft::listen_tcp("127.0.0.1", static_cast<std::uint16_t>(port));
    std::cout << "Listening on port " << listener.port() << '.' << std::endl;
    room main_room;
    weft::group server;
    server.go([&] {
      weft::serve(listener, [&](weft::tcp_stream client) { chat(main_room, std::move(client)); });
    });
    stop.next();
    server.cancel();
  });
}
