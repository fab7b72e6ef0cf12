// Unix sockets: what their files do, and serving on them.
#include <weft/unix.hpp>

#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "io/socket_support.hpp"

namespace {

using namespace weft_test;

class Unix : public fiber_fixture {
 protected:
  void SetUp() override {
    fiber_fixture::SetUp();
    char name[] = "/tmp/weft-unix-XXXXXX";
    folder_ = mkdtemp(name);
    path = folder_ + "/socket";
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    fiber_fixture::TearDown();
  }

  // What a process leaves that died while it listened.
  void leave_dead_socket() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.copy(at.sun_path, sizeof at.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    ::close(fd);
  }

  std::string path;

 private:
  std::string folder_;
};
FIBER_SUITE(Unix);

TEST_P(Unix, ConnectionsCarryBytesAndKnowTheirPeer) {
  inside([this] {
    auto listener = weft::listen_unix(path);
    EXPECT_EQ(listener.path(), path);
    auto client = weft::connect_unix(path);
    auto server = listener.accept();
    client.write("hello");
    client.close();
    EXPECT_EQ(weft::read_all(server), "hello");
    EXPECT_EQ(server.path(), path);
    EXPECT_EQ(server.peer().process, getpid());
    EXPECT_EQ(server.peer().user, getuid());
  });
}

TEST_P(Unix, FileGoesWithItsListener) {
  inside([this] {
    {
      auto listener = weft::listen_unix(path);
      EXPECT_TRUE(weft::exists(path));
    }
    EXPECT_FALSE(weft::exists(path));
    EXPECT_EQ(failure_of([this] { weft::connect_unix(path); }),
              std::errc::no_such_file_or_directory);
  });
}

TEST_P(Unix, FileThatSomebodyReplacedStays) {
  inside([this] {
    auto listener = weft::listen_unix(path);
    weft::remove(path);
    weft::write_file(path, "mine", weft::durable::no);
    listener.close();
    EXPECT_EQ(weft::read_file(path), "mine");
  });
}

TEST_P(Unix, FileOfADeadListenerIsReplaced) {
  leave_dead_socket();
  inside([this] {
    EXPECT_EQ(failure_of([this] { weft::connect_unix(path); }), std::errc::connection_refused);
    auto listener = weft::listen_unix(path);
    auto client = weft::connect_unix(path);
    listener.accept();
  });
}

TEST_P(Unix, FileOfALivingListenerIsNot) {
  inside([this] {
    auto listener = weft::listen_unix(path);
    EXPECT_EQ(failure_of([this] { weft::listen_unix(path); }), std::errc::address_in_use);
    auto client = weft::connect_unix(path);
    weft::remove(path);
    weft::write_file(path, "a file", weft::durable::no);
    EXPECT_EQ(failure_of([this] { weft::listen_unix(path); }), std::errc::address_in_use);
    EXPECT_EQ(weft::read_file(path), "a file");
  });
}

TEST_P(Unix, OfManyWhoListenAtOnceOneWins) {
  leave_dead_socket();
  inside([this] {
    std::atomic<int> won{0};
    std::vector<weft::unix_listener> kept(8);
    weft::group all;
    for (weft::unix_listener& each : kept) {
      all.go([&] {
        if (!failure_of([&] { each = weft::listen_unix(path); })) ++won;
      });
    }
    all.wait();
    EXPECT_EQ(won, 1);
    weft::connect_unix(path);
  });
}

TEST_P(Unix, PermissionsOfTheFileAreThoseAskedFor) {
  inside([this] {
    weft::unix_listen_options how;
    how.permissions = 0600;
    auto listener = weft::listen_unix(path, how);
    struct ::stat about;
    ASSERT_EQ(::lstat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u);
  });
}

TEST_P(Unix, PathsThatCannotBeAreRefused) {
  inside([] {
    for (const auto& [at, why] :
         {std::pair(std::string(), std::errc::invalid_argument),
          std::pair(std::string("a\0b", 3), std::errc::invalid_argument),
          std::pair(std::string(200, 'x'), std::errc::filename_too_long),
          std::pair(std::string("/nowhere/at/all"), std::errc::no_such_file_or_directory)}) {
      EXPECT_EQ(failure_of([&to = at] { weft::connect_unix(to); }), why) << at;
      EXPECT_EQ(failure_of([&on = at] { weft::listen_unix(on); }), why) << at;
    }
  });
}

TEST_P(Unix, ClientsOfABusyListenerWaitForTheirTurn) {
  inside([this] {
    weft::unix_listen_options how;
    how.backlog = 1;
    auto listener = weft::listen_unix(path, how);
    weft::group clients;
    for (int i = 0; i < 10; ++i) {
      clients.go([this] {
        auto client = weft::connect_unix(path);
        EXPECT_EQ(weft::read_all(client), "hello");
      });
    }
    until_parked(8);
    for (int i = 0; i < 10; ++i) listener.accept().write("hello");
    clients.wait();
  });
}

TEST_P(Unix, CloseWakesWhoAccepts) {
  inside([this] {
    auto listener = weft::listen_unix(path);
    auto waiting = weft::go([&] { return failure_of([&] { auto client = listener.accept(); }); });
    until_parked(1);
    listener.close();
    EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
  });
}

// A read stops short behind such a message, although there is more.
TEST_P(Unix, BytesBehindADescriptorThatWasSentAreRead) {
  inside([] {
    auto [reader, writer] = weft::make_unix_pair();
    auto got = weft::go([&r = reader] { return weft::read_exactly(r, 2); });
    until_parked(1);
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    char byte = 'a';
    iovec one{&byte, 1};
    msghdr message{};
    message.msg_iov = &one;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int sent = 0;
    std::memcpy(CMSG_DATA(header), &sent, sizeof sent);
    ASSERT_EQ(::sendmsg(writer.fd(), &message, MSG_NOSIGNAL), 1);
    ASSERT_EQ(::send(writer.fd(), "b", 1, MSG_NOSIGNAL), 1);
    EXPECT_EQ(got.join(), "ab");
  });
}

TEST_P(Unix, ServeHandlesEachConnection) {
  inside([this] {
    auto listener = weft::listen_unix(path);
    std::atomic<int> failed{0};
    weft::serve_options how;
    how.on_error = [&failed](const weft::address& client, std::exception_ptr) {
      EXPECT_EQ(client, weft::address());
      ++failed;
    };
    auto server = weft::go([&] {
      weft::serve(
          listener,
          [](weft::unix_stream client) {
            for (const std::string& line : weft::buffered_reader(client).lines()) {
              if (line == "fail") throw std::runtime_error("as asked");
              client.write(line + "!\n");
            }
          },
          how);
    });
    weft::group clients;
    for (int i = 0; i < 50; ++i) {
      clients.go([this, i] {
        auto peer = weft::connect_unix(path);
        peer.write(i == 7 ? "fail\n" : "hello\n");
        peer.shutdown_write();
        EXPECT_EQ(weft::read_all(peer), i == 7 ? "" : "hello!\n");
      });
    }
    clients.wait();
    listener.close();
    server.join();
    EXPECT_EQ(failed, 1);
  });
}

}  // namespace
