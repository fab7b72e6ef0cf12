// Names to addresses, by the system's resolver on a thread of the runtime's pool for names. Not of
// libuv's: look-ups that hang would keep files waiting.
// Fibers ask; a pool thread answers.
//
// (1) A question lives on the heap and belongs to both sides. So a cancelled fiber leaves at once,
//     although a look-up that has begun cannot be stopped and may take as long as the name servers
//     do. One that has not begun is taken back.
// (2) A result that came first wins over the cancellation.
// (3) The thread uses the question alone, and no runtime once nobody waits. So the end of a runtime
//     leaves it behind (thread_pool.hpp (3)).
#include <weft/dns.hpp>

#include <netdb.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <utility>

#include "io/address_access.hpp"
#include "io/budget.hpp"
#include "reactor/thread_pool.hpp"
#include "sched/scheduler.hpp"

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

std::error_code code_of(int answer, int system_error) noexcept {
  switch (answer) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
      return dns_errc::host_not_found;
    case EAI_AGAIN:
      return dns_errc::try_again;
    case EAI_MEMORY:
      return std::make_error_code(std::errc::not_enough_memory);
    case EAI_SYSTEM:
      return {system_error, std::generic_category()};
    default:
      return dns_errc::failed;
  }
}

constexpr std::size_t longest_name = 255;  // RFC 1035, 2.3.4

[[noreturn]] void fail(const std::string& host, std::error_code why) {
  std::string shown = host;
  for (std::size_t at = 0; (at = shown.find('\0', at)) != shown.npos;) shown.replace(at, 1, "\\0");
  throw io_error(why, "cannot resolve \"" + shown + "\"");
}

struct question : thread_pool::job {
  explicit question(const std::string& of) : host(of) {
    run = [](thread_pool::job& self) noexcept { static_cast<question&>(self).ask(); };
  }

  const std::string host;
  std::atomic<int> holders{1};  // the fiber, and the pool once it was given to it
  spin_lock lock;
  waitable* waiter = nullptr;  // guarded by lock
  int answer = 0;
  int system_error = 0;
  addrinfo* found = nullptr;

  void ask() noexcept {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;  // otherwise each address comes once for each type
    answer = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    system_error = errno;
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

  void let_go() noexcept {
    // The last one sees what the other wrote.
    if (holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (found != nullptr) ::freeaddrinfo(found);
    delete this;
  }
};

struct let_go_of {
  void operator()(question* what) const noexcept { what->let_go(); }
};
using question_hold = std::unique_ptr<question, let_go_of>;

std::vector<address> answers(const addrinfo* found, std::uint16_t port) {
  std::vector<address> made;
  for (; found != nullptr; found = found->ai_next) {
    address each = address_access::from(found->ai_addr);
    if (each.kind() != address::family::none) made.push_back(address_access::with_port(each, port));
  }
  return made;
}

void wait_for_answer(question& asked, thread_pool& pool) {
  parking wait("resolve");
  asked.waiter = &wait.self();
  asked.holders.store(2, std::memory_order_relaxed);
  try {
    pool.submit(asked);
  } catch (const std::system_error& error) {
    wait.abandon();
    asked.let_go();
    fail(asked.host, error.code());
  } catch (...) {
    wait.abandon();
    asked.let_go();
    throw;
  }
  if (wait.park() == wake_reason::notified) return;
  {
    std::lock_guard<spin_lock> hold(asked.lock);
    asked.waiter = nullptr;
  }
  if (pool.withdraw(asked)) asked.let_go();
  throw_cancelled();
}

std::vector<address> ask_system(const std::string& host, std::uint16_t port, control& self) {
  const question_hold asked(new question(host));
  wait_for_answer(*asked, *static_cast<scheduler*>(self.home)->names);
  if (asked->answer != 0) fail(host, code_of(asked->answer, asked->system_error));
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
  if (host.empty() || host.size() > detail::longest_name || host.find('\0') != host.npos)
    detail::fail(host, std::make_error_code(std::errc::invalid_argument));
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string_view digits =
      bracketed ? std::string_view(host).substr(1, host.size() - 2) : std::string_view(host);
  address found;
  const bool is_ip = detail::address_access::read_ip(digits, found);
  if (is_ip && (!bracketed || found.kind() == address::family::ipv6)) {
    detail::spend_io(self, 0);
    return {detail::address_access::with_port(found, port)};
  }
  // No name has a colon: it is an address that is wrong, or of an interface that is not there.
  if (host.find(':') != host.npos) detail::fail(host, dns_errc::host_not_found);
  return detail::ask_system(host, port, self);
}

}  // namespace weft
