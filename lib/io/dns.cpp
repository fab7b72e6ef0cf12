// Names to addresses, by the system's resolver on a thread of libuv's pool.
// Fibers ask; libuv calls back with access to the loop that was asked.
//
// (1) A question lives on the heap and belongs to both sides. So a cancelled fiber leaves at once,
//     although a look-up that has begun cannot be stopped and may take as long as the name servers
//     do. The end of a runtime waits for it.
// (2) A result that came first wins over the cancellation.
#include <weft/dns.hpp>

#include <netdb.h>
#include <uv.h>

#include <atomic>
#include <mutex>

#include "io/address_access.hpp"
#include "io/budget.hpp"
#include "reactor/loop.hpp"

namespace weft {
namespace detail {
namespace {

class dns_names final : public std::error_category {
 public:
  const char* name() const noexcept override { return "weft.dns"; }
  std::string message(int code) const override {
    switch (static_cast<dns_errc>(code)) {
      case dns_errc::host_not_found:
        return "host not found";
      case dns_errc::try_again:
        return "no answer from the name servers";
      case dns_errc::failed:
        break;
    }
    return "name resolution failed";
  }
};

std::error_code code_of(int uv_code) noexcept {
  switch (uv_code) {
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY:
      return dns_errc::host_not_found;
    case UV_EAI_AGAIN:
      return dns_errc::try_again;
    case UV_EAI_MEMORY:
      return std::make_error_code(std::errc::not_enough_memory);
    default:
      break;
  }
  // libuv's own codes for the resolver lie at -3000 and below; the rest are negative errnos.
  if (uv_code > -3000) return {-uv_code, std::generic_category()};
  return dns_errc::failed;
}

[[noreturn]] void fail(const std::string& host, std::error_code why) {
  std::string shown = host;
  for (std::size_t at = 0; (at = shown.find('\0', at)) != shown.npos;) shown.replace(at, 1, "\\0");
  throw io_error(why, "cannot resolve \"" + shown + "\"");
}

struct question {
  explicit question(const std::string& of) : host(of) {
    request.data = this;
    ask.self = drop.self = this;
    ask.run = [](loop::task& mine, loop& on) noexcept { self_of(mine).begin(on); };
    drop.run = [](loop::task& mine, loop&) noexcept { self_of(mine).abandon(); };
  }

  struct task : loop::task {
    question* self = nullptr;
  };
  static question& self_of(loop::task& what) noexcept { return *static_cast<task&>(what).self; }

  const std::string host;
  uv_getaddrinfo_t request{};
  task ask;
  task drop;
  std::atomic<int> holders{2};  // the fiber and the loop
  spin_lock lock;
  waitable* waiter = nullptr;  // guarded by lock
  int code = 0;
  bool finished = false;  // with access
  addrinfo* found = nullptr;

  void begin(loop& on) noexcept {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;  // otherwise each address comes once for each type
    on.note_busy(1);
    const int started = uv_getaddrinfo(
        on.uv(), &request,
        [](uv_getaddrinfo_t* answered, int status, addrinfo* result) {
          auto& me = *static_cast<question*>(answered->data);
          me.found = result;
          me.finish(*static_cast<loop*>(answered->loop->data), status);
        },
        host.c_str(), nullptr, &wanted);
    if (started != 0) finish(on, started);
  }

  void finish(loop& on, int status) noexcept {
    on.note_busy(-1);
    finished = true;
    code = status;
    claim got = claim::lost;
    waitable* who = nullptr;
    {
      std::lock_guard<spin_lock> hold(lock);
      who = std::exchange(waiter, nullptr);
      if (who != nullptr) got = try_claim(*who, wake_reason::notified);
    }
    if (got == claim::must_resume) resume(*who);
    let_go();
  }

  // In the name of the fiber.
  void abandon() noexcept {
    if (!finished) uv_cancel(reinterpret_cast<uv_req_t*>(&request));
    let_go();
  }

  void let_go() noexcept {
    // The last one sees what the other wrote.
    if (holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (found != nullptr) uv_freeaddrinfo(found);
    delete this;
  }
};

struct question_holder {
  question* held;
  ~question_holder() {
    if (held != nullptr) held->let_go();
  }
};

std::vector<address> answers(const addrinfo* found, std::uint16_t port) {
  std::vector<address> made;
  for (; found != nullptr; found = found->ai_next) {
    address each = address_access::from(found->ai_addr);
    if (each.kind() != address::family::none) made.push_back(address_access::with_port(each, port));
  }
  return made;
}

std::vector<address> ask_system(const std::string& host, std::uint16_t port) {
  question* asked = nullptr;
  {
    parking wait("resolve");
    try {
      asked = new question(host);
    } catch (...) {
      wait.abandon();
      throw;
    }
    asked->waiter = &wait.self();
    loop& on = loop::current();
    on.execute(asked->ask);
    if (wait.park() != wake_reason::notified) {
      {
        std::lock_guard<spin_lock> hold(asked->lock);
        asked->waiter = nullptr;
      }
      on.execute(asked->drop);  // after `ask`, by the order of tasks
      throw_cancelled();
    }
  }
  const question_holder hold{asked};
  if (asked->code != 0) fail(host, code_of(asked->code));
  std::vector<address> made = answers(asked->found, port);
  if (made.empty()) fail(host, dns_errc::host_not_found);
  return made;
}

}  // namespace
}  // namespace detail

const std::error_category& dns_category() noexcept {
  static const detail::dns_names only;
  return only;
}

std::vector<address> resolve(const std::string& host, std::uint16_t port) {
  detail::control& self = detail::begin_io("resolve()");
  if (host.empty() || host.find('\0') != host.npos)
    detail::fail(host, std::make_error_code(std::errc::invalid_argument));
  address digits;
  if (!detail::address_access::read_ip(host, digits)) return detail::ask_system(host, port);
  detail::spend_io(self, 0);
  return {detail::address_access::with_port(digits, port)};
}

}  // namespace weft
