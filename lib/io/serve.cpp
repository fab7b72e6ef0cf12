// serve(): the accepting fiber, and its book of the connections' fibers.
// The accepting fiber makes and ends the book; each connection's fiber enters and leaves it.
//
// (1) A connection counts from before its fiber is started until its callable is gone, whether it
//     ran or not. serve() returns only after it saw none, under the lock; a fiber does not touch
//     the book after the unlock in which it was counted off.
// (2) A connection is in the list while its handler runs. cancel_all() first sets `over_`, so a
//     fiber that is not yet in the list will not call the handler.
// Rejected: a group. Its children are cancelled with the fiber that waits for them, at once, and so
// would get no grace.
#include <weft/serve.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <new>
#include <weft/cancel.hpp>
#include <weft/go.hpp>

#include "io/socket.hpp"

namespace weft::detail {
namespace {

constexpr nanos shortest_pause = 5'000'000;  // as Go's net/http: 5 ms, doubled up to 1 s
constexpr nanos longest_pause = 1'000'000'000;
constexpr nanos look_at_listener = 50'000'000;

class book {
 public:
  void add() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    ++count_;
  }

  void remove() noexcept {
    claim got = claim::lost;
    waitable* who = nullptr;
    {
      std::lock_guard<spin_lock> hold(lock_);
      if (--count_ < wake_below_) who = std::exchange(waiter_, nullptr);
      if (who != nullptr) got = try_claim(*who, wake_reason::notified);
    }
    if (got == claim::must_resume) resume(*who);
  }

  // A connection whose fiber never ran: there was no memory for its stack.
  void note_unstarted() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    unstarted_ = true;
  }

  bool take_unstarted() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    return std::exchange(unstarted_, false);
  }

  std::size_t count() noexcept {
    std::lock_guard<spin_lock> hold(lock_);
    return count_;
  }

  // Parks until there are fewer; false if the deadline comes first.
  bool wait_below(std::size_t limit, cancellation mode, nanos deadline = never) {
    for (;;) {
      parking wait("serve", mode);
      {
        std::lock_guard<spin_lock> hold(lock_);
        if (count_ < limit) {
          wait.abandon();
          return true;
        }
        waiter_ = &wait.self();
        wake_below_ = limit;
      }
      const wake_reason why = wait.park_until(deadline);
      {
        std::lock_guard<spin_lock> hold(lock_);
        waiter_ = nullptr;
        if (why == wake_reason::timed_out) return count_ < limit;
      }
      if (why == wake_reason::cancelled) throw_cancelled();
    }
  }

  void cancel_all() noexcept {
    std::array<control*, 64> batch;
    std::size_t size = 0;
    do {
      size = 0;
      {
        std::lock_guard<spin_lock> hold(lock_);
        over_ = true;
        while (size < batch.size()) {
          entry* next = running_.pop_front();
          if (next == nullptr) break;
          add_reference(*next->fiber);
          batch[size++] = next->fiber;
        }
      }
      for (std::size_t i = 0; i < size; ++i) {
        request_cancel(batch[i]->root);
        drop_reference(*batch[i]);
      }
    } while (size == batch.size());
  }

  // The calling fiber, while its handler runs.
  struct entry : list_hook {
    explicit entry(book& of) : fiber(current_fiber()), in(of) {
      std::lock_guard<spin_lock> hold(in.lock_);
      allowed = !in.over_;
      if (allowed) in.running_.push_back(*this);
    }
    ~entry() {
      std::lock_guard<spin_lock> hold(in.lock_);
      if (linked()) intrusive_list<entry>::erase(*this);
    }
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

    control* const fiber;
    book& in;
    bool allowed = false;
  };

 private:
  spin_lock lock_;
  std::size_t count_ = 0;
  std::size_t wake_below_ = 0;
  waitable* waiter_ = nullptr;
  bool over_ = false;
  bool unstarted_ = false;
  intrusive_list<entry> running_;
};

void print(const address& client, const char* what) noexcept {
  try {
    std::fprintf(stderr, "weft: the handler of %s ended with: %s\n", client.to_string().c_str(),
                 what);
  } catch (const std::exception&) {
  }
}

void print_unexpected(const address& client, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const io_error&) {
  } catch (const eof_error&) {
  } catch (const timed_out&) {
  } catch (const std::exception& e) {
    print(client, e.what());
  } catch (...) {
    print(client, "an exception that is not a std::exception");
  }
}

// What the fiber of a connection runs.
class connection {
 public:
  connection(book& in, socket_owner client, connection_handler handle, void* handler,
             const serve_options& how) noexcept
      : counted_(&in), client_(std::move(client)), handle_(handle), handler_(handler), how_(&how) {
    in.add();
  }

  connection(connection&&) noexcept = default;
  ~connection() {
    if (counted_ != nullptr && client_ != nullptr) counted_->note_unstarted();
  }

  void operator()() {
    const book::entry here(*counted_);
    if (!here.allowed) return;
    const address peer = client_->remote;
    try {
      handle_(handler_, std::move(client_));
    } catch (const cancelled&) {
      throw;
    } catch (...) {
      report(peer, std::current_exception());
    }
  }

 private:
  struct remover {
    void operator()(book* from) const noexcept { from->remove(); }
  };

  void report(const address& peer, const std::exception_ptr& error) {
    if (!how_->on_error) {
      print_unexpected(peer, error);
      return;
    }
    try {
      how_->on_error(peer, error);
    } catch (const cancelled&) {
      throw;
    } catch (...) {
      print_unexpected(peer, std::current_exception());
    }
  }

  std::unique_ptr<book, remover> counted_;  // goes last, when the descriptor is free
  socket_owner client_;
  connection_handler handle_;
  void* handler_;
  const serve_options* how_;
};

bool is_shortage(const std::error_code& code) noexcept {
  return code == std::errc::too_many_files_open ||
         code == std::errc::too_many_files_open_in_system || code == std::errc::no_buffer_space ||
         code == std::errc::not_enough_memory;
}

// Returns false if there was no room for it. Throws: io_error if the listener fails.
bool accept_one(socket& listener, book& connections, connection_handler handle, void* handler,
                const serve_options& how) {
  try {
    const fiber<void> started =
        go(connection(connections, accept_on(&listener), handle, handler, how));
    ignore_failure(*task_of(started));  // it can only be that it never ran
    return !connections.take_unstarted();
  } catch (const io_error& error) {
    if (!is_shortage(error.code())) throw;
  } catch (const std::bad_alloc&) {
    connections.take_unstarted();
  }
  return false;
}

// Until one of the connections has ended, the time is over, or the listener has been closed.
void wait_for_room(socket& listener, book& connections, nanos at_most) {
  const std::size_t now = connections.count();
  for (nanos left = at_most; left > 0 && !listener.closed(); left -= look_at_listener) {
    const nanos until = saturating_add(current_carrier()->now(), std::min(left, look_at_listener));
    if (connections.wait_below(now, cancellation::delivered, until)) return;
  }
}

// Returns when the listener has been closed.
void accept_all(socket& listener, book& connections, connection_handler handle, void* handler,
                const serve_options& how) {
  nanos pause = shortest_pause;
  while (!listener.closed()) {
    if (how.max_connections != 0)
      connections.wait_below(how.max_connections, cancellation::delivered);
    try {
      if (accept_one(listener, connections, handle, handler, how)) {
        pause = shortest_pause;
        continue;
      }
    } catch (const io_error&) {
      if (!listener.closed()) throw;
      return;
    }
    wait_for_room(listener, connections, pause);
    pause = std::min(2 * pause, longest_pause);
  }
}

}  // namespace

void serve_connections(socket* listener, connection_handler handle, void* handler,
                       const serve_options& how) {
  begin_io("serve()");
  socket& from = referred(listener, "serve on");
  book connections;
  try {
    accept_all(from, connections, handle, handler, how);
    connections.wait_below(1, cancellation::delivered);
  } catch (...) {
    const nanos grace = std::max<nanos>(how.grace.count(), 0);
    const nanos until = saturating_add(current_carrier()->now(), grace);
    if (!connections.wait_below(1, cancellation::ignored, until)) {
      connections.cancel_all();
      connections.wait_below(1, cancellation::ignored);
    }
    throw;
  }
}

}  // namespace weft::detail
