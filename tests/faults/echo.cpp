// Bytes both ways at once: echo [tcp|pair|pipe] [BYTES].   Connections: accept [CLIENTS].
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>

#include "program.hpp"

namespace faults {
namespace {

// Two descriptors of the program's own as a stream; one of them may do for both directions.
class own_stream {
 public:
  own_stream(int in, int out) noexcept : in_(in), out_(out) {}
  std::size_t read(void* to, std::size_t n) { return weft::read(in_, to, n); }
  void write(const void* from, std::size_t n) { weft::write(out_, from, n); }
  void shutdown_write() {
    if (in_ == out_)
      ::shutdown(out_, SHUT_WR);
    else
      ::close(std::exchange(out_, -1));
  }
  void close() {
    if (out_ >= 0 && out_ != in_) ::close(out_);
    ::close(in_);
  }

 private:
  int in_;
  int out_;
};

constexpr std::size_t piece = 64 * 1024;

template <class Stream>
void send_back(Stream& peer) {
  const auto room = std::make_unique<std::array<char, piece>>();
  while (const std::size_t n = peer.read(room->data(), piece)) peer.write(room->data(), n);
  peer.shutdown_write();
}

template <class Stream>
std::uint64_t send_all(Stream& to, std::size_t bytes) {
  checksum sum;
  std::string out(piece, '\0');
  for (std::size_t done = 0; done < bytes; done += out.size()) {
    out.resize(std::min(piece, bytes - done));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = byte_at(done + i);
    sum.add(out.data(), out.size());
    to.write(out.data(), out.size());
  }
  to.shutdown_write();
  return sum.value();
}

template <class Stream>
bool run_echo(Stream client, Stream server, std::size_t bytes) {
  auto echoing = weft::go([&] { send_back(server); });
  auto sending = weft::go([&] { return send_all(client, bytes); });
  checksum sum;
  std::size_t got = 0;
  std::string in(piece, '\0');
  while (const std::size_t n = client.read(in.data(), in.size())) {
    sum.add(in.data(), n);
    got += n;
  }
  const std::uint64_t sent = sending.join();
  echoing.join();
  client.close();
  server.close();
  say("bytes", got);
  say("equal", sent == sum.value() && got == bytes ? "yes" : "no");
  return sent == sum.value() && got == bytes;
}

bool echo_over(const std::string& transport, std::size_t bytes) {
  if (transport == "tcp") {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto accepted = weft::go([&] { return listener.accept(); });
    auto client = weft::connect_tcp("127.0.0.1", listener.port());
    return run_echo(std::move(client), accepted.join(), bytes);
  }
  int there[2];
  int back[2];
  if (transport == "pair") {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, there) != 0) return false;
    return run_echo(own_stream(there[0], there[0]), own_stream(there[1], there[1]), bytes);
  }
  if (::pipe2(there, O_CLOEXEC) != 0 || ::pipe2(back, O_CLOEXEC) != 0) return false;
  return run_echo(own_stream(back[0], there[1]), own_stream(there[0], back[1]), bytes);
}

}  // namespace

int echo(const arguments& given) {
  const std::size_t before = descriptors_of_the_library();
  weft::options how;
  how.workers = 2;
  const bool equal =
      weft::run(how, [&] { return echo_over(given.text(0, "tcp"), given.number(1, 10'000'000)); });
  say("leaked", open_descriptors() - before);
  return equal ? 0 : 1;
}

int accept_loop(const arguments& given) {
  const std::size_t clients = given.number(0, 20);
  weft::options how;
  how.workers = 1;  // strace counts calls by thread
  return weft::run(how, [&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    auto server = weft::go([&] {
      weft::serve(listener, [](weft::tcp_stream client) {
        char bytes[64];
        while (const std::size_t n = client.read(bytes, sizeof bytes)) client.write(bytes, n);
      });
    });
    std::size_t answered = 0;
    for (std::size_t i = 0; i < clients; ++i) {
      auto client = weft::connect_tcp("127.0.0.1", listener.port());
      const std::string question = std::to_string(i);
      client.write(question);
      answered += weft::read_exactly(client, question.size()) == question;
    }
    listener.close();
    server.join();
    say("answered", answered);
    return answered == clients ? 0 : 1;
  });
}

}  // namespace faults
