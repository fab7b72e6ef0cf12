// PostgreSQL through libpq, a C library that brings its own sockets: wherever it would block, the
// fiber waits for the socket.  Try it:  20_postgres "hostaddr=127.0.0.1 dbname=postgres"
#include <libpq-fe.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <vector>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
using connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using result = std::unique_ptr<PGresult, decltype(&PQclear)>;

void check(bool good, const PGconn* on) {
  if (!good) throw std::runtime_error(PQerrorMessage(on));
}

connection connect(const char* conninfo) {
  connection made(PQconnectStart(conninfo), PQfinish);
  for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    check(PQstatus(made.get()) != CONNECTION_BAD, made.get());
    const int fd = PQsocket(made.get());  // another one for the next address
    next == PGRES_POLLING_READING ? weft::wait_readable(fd) : weft::wait_writable(fd);
    next = PQconnectPoll(made.get());
  }
  PQsetnonblocking(made.get(), 1);
  return made;
}

// Sends what is left to be sent and waits for the last result.
result finish(PGconn* on) {
  while (const int left = PQflush(on)) {
    check(left > 0, on);
    weft::wait_writable(PQsocket(on));
  }
  for (result last(nullptr, PQclear);;) {
    for (; PQisBusy(on); check(PQconsumeInput(on), on)) weft::wait_readable(PQsocket(on));
    result next(PQgetResult(on), PQclear);
    if (next == nullptr) return last;
    last = std::move(next);
  }
}

result query(PGconn* on, const char* text, const std::vector<const char*>& values = {}) {
  const int n = static_cast<int>(values.size());
  check(PQsendQueryParams(on, text, n, nullptr, values.data(), nullptr, nullptr, 0), on);
  try {
    result got = finish(on);
    if (PQresultStatus(got.get()) == PGRES_FATAL_ERROR)
      throw std::runtime_error(PQresultErrorField(got.get(), PG_DIAG_MESSAGE_PRIMARY));
    return got;
  } catch (const weft::cancelled&) {  // stop the server, too; then the connection can be used again
    const weft::shield until_done;
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> stop(PQgetCancel(on), PQfreeCancel);
    weft::blocking([&] { PQcancel(stop.get(), nullptr, 0); });
    finish(on);
    throw;
  }
}

int main(int argc, char** argv) {
  weft::run([conninfo = argc > 1 ? argv[1] : ""] {
    const auto squares = weft::map(std::vector{"1", "2", "3", "4", "5"}, [&](const char* n) {
      return query(connect(conninfo).get(), "select $1::int ^ 2, pg_sleep(0.2)", {n});
    });
    for (const result& each : squares) std::cout << PQgetvalue(each.get(), 0, 0) << '\n';

    const connection db = connect(conninfo);
    for (const char* text : {"select pg_sleep(60)", "select 1 / 0", "select 'still there'"}) {
      try {
        const result got = weft::with_timeout(1s, [&] { return query(db.get(), text); });
        std::cout << PQgetvalue(got.get(), 0, 0) << '\n';
      } catch (const std::exception& e) {
        std::cout << text << ": " << e.what() << '\n';
      }
    }
  });
}
