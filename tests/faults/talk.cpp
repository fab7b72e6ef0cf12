// Framed conversations with a checksum, to be led over a network that misbehaves.
//   server [DEADLINE_MS]                          until SIGTERM, then tells what it saw
//   client PORT [CLIENTS] [FRAMES] [DEADLINE_MS]  tells how its conversations ended
// A frame: length and checksum, 4 bytes each, and the bytes. The server sends each one back.
#include <arpa/inet.h>

#include <array>
#include <atomic>
#include <cstring>

#include "program.hpp"

namespace faults {
namespace {

constexpr std::uint32_t longest = 1 << 20;

struct corrupted {};

std::uint32_t sum_of(const std::string& bytes) noexcept {
  checksum sum;
  sum.add(bytes.data(), bytes.size());
  return static_cast<std::uint32_t>(sum.value() ^ (sum.value() >> 32));
}

void put_frame(weft::tcp_stream& to, const std::string& bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  // The length has a checksum too: it is part of what is summed.
  const std::uint32_t head[2] = {htonl(size), htonl(sum_of(bytes) ^ size)};
  to.writev({weft::const_buffer(head, sizeof head), bytes});
}

// False at the end, between two frames.
bool get_frame(weft::tcp_stream& from, std::string& bytes) {
  std::uint32_t head[2];
  const std::size_t first = from.read(head, sizeof head);
  if (first == 0) return false;
  if (first < sizeof head)
    weft::read_exactly(from, reinterpret_cast<char*>(head) + first, sizeof head - first);
  const std::uint32_t size = ntohl(head[0]);
  if (size > longest) throw corrupted();
  bytes = weft::read_exactly(from, size);
  if ((sum_of(bytes) ^ size) != ntohl(head[1])) throw corrupted();
  return true;
}

struct tally {
  std::atomic<std::size_t> whole{0}, corrupt{0}, late{0}, failed{0}, wrong{0}, frames{0};

  template <class Conversation>
  void count(Conversation&& lead) {
    try {
      ++(lead() ? whole : wrong);
    } catch (const corrupted&) {
      ++corrupt;
    } catch (const weft::timed_out&) {
      ++late;
    } catch (const weft::io_error&) {
      ++failed;
    } catch (const weft::eof_error&) {
      ++failed;
    }
  }

  void tell() const {
    say("whole", whole.load());
    say("corrupt", corrupt.load());
    say("late", late.load());
    say("failed", failed.load());
    say("wrong", wrong.load());
    say("frames", frames.load());
  }
};

std::string frame_of(std::size_t conversation, std::size_t number) {
  std::string bytes((conversation * 7919 + number * 104729) % 20'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(conversation + number + i);
  return bytes;
}

}  // namespace

int talk_server(const arguments& given) {
  const std::chrono::milliseconds deadline(given.number(0, 10'000));
  const stop_signal stop;
  tally seen;
  weft::options how;
  how.workers = 2;
  weft::run(how, [&] {
    auto listener = weft::listen_tcp("127.0.0.1", 0);
    const std::size_t before = open_descriptors();
    say("port", listener.port());
    auto server = weft::go([&] {
      weft::serve(listener, [&](weft::tcp_stream client) {
        seen.count([&] {
          return weft::with_timeout(deadline, [&] {
            std::string bytes;
            for (; get_frame(client, bytes); ++seen.frames) put_frame(client, bytes);
            return true;
          });
        });
      });
    });
    stop.wait();
    server.cancel();
    server.wait();
    say("leaked", open_descriptors() - before - 1);  // that of the folder which is listed
    listener.close();
  });
  seen.tell();
  return 0;
}

int talk_client(const arguments& given) {
  const auto port = static_cast<std::uint16_t>(given.number(0, 0));
  const std::size_t clients = given.number(1, 20);
  const std::size_t frames = given.number(2, 10);
  const std::chrono::milliseconds deadline(given.number(3, 5000));
  tally seen;
  weft::options how;
  how.workers = 2;
  const std::size_t before = descriptors_of_the_library();
  weft::run(how, [&] {
    weft::group talking;
    for (std::size_t i = 0; i < clients; ++i)
      talking.go([&, i] {
        seen.count([&] {
          return weft::with_timeout(deadline, [&] {
            auto server = weft::connect_tcp("127.0.0.1", port);
            std::string answer;
            for (std::size_t n = 0; n < frames; ++n) {
              const std::string question = frame_of(i, n);
              put_frame(server, question);
              if (!get_frame(server, answer)) throw weft::eof_error("the server ended");
              if (answer != question) return false;
              ++seen.frames;
            }
            server.shutdown_write();
            char byte = 0;
            return server.read(&byte, 1) == 0;
          });
        });
      });
    talking.wait();
  });
  seen.tell();
  say("leaked", open_descriptors() - before);
  return 0;
}

}  // namespace faults
