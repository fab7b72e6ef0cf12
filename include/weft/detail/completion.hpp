// One result that comes later: what promise, future and await_callback share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/task.hpp>
#include <weft/go.hpp>

namespace weft::detail {

// The library's part; see lib/sync/completion.cpp for its rules.
class WEFT_API completion {
 public:
  completion() noexcept;
  completion(const completion&) = delete;
  completion& operator=(const completion&) = delete;

  // Senders: whoever claims it first stores a result or an error and publishes it.
  bool claim() noexcept;
  void give_claim_back() noexcept;
  void publish() noexcept;
  bool fail(std::exception_ptr error) noexcept;  // all three; whether it was the first

  bool ready() const noexcept {
    return phase_.load(std::memory_order_acquire) == phase::ready;  // pairs with publish()
  }

  // Receivers. Parks unless the time is over, throws cancelled; returns whether it is ready.
  bool wait_until(const char* what, std::int64_t deadline);
  // Once ready. The only receiver takes the error along, so that the exception does not die later
  // in the sender's thread.
  void rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  void rethrow_only() {
    if (error_ != nullptr) std::rethrow_exception(std::move(error_));
  }

  void add_sender() noexcept { senders_.fetch_add(1, std::memory_order_relaxed); }
  void drop_sender() noexcept;  // the last one breaks the promise if it must
  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept;

 protected:
  virtual ~completion();

 private:
  enum class phase : std::uint8_t { open, claimed, ready };

  std::atomic<std::uint32_t> references_{1};  // receivers, and one for all senders
  std::atomic<std::uint32_t> senders_{0};
  std::atomic<phase> phase_{phase::open};
  std::exception_ptr error_;
  alignas(std::max_align_t) unsigned char room_[32];  // waiters and their lock
};

template <class T>
class completion_of final : public completion, public result_part<T> {
 public:
  ~completion_of() override {
    if (this->full) this->value().~result_slot<T>();
  }

  // Returns whether this was the first result.
  template <class... Value>
  bool complete(Value&&... value) {
    if (!claim()) return false;
    struct undo {
      completion_of* of;
      ~undo() {
        if (of != nullptr) of->give_claim_back();
      }
    } pending{this};
    if constexpr (std::is_reference_v<T>)
      ::new (static_cast<void*>(this->room)) result_slot<T>(std::addressof(value)...);
    else if constexpr (std::is_void_v<T>)
      ::new (static_cast<void*>(this->room)) result_slot<T>();
    else
      ::new (static_cast<void*>(this->room)) result_slot<T>(std::forward<Value>(value)...);
    this->full = true;
    pending.of = nullptr;
    publish();
    return true;
  }

  // Once ready, for the only receiver.
  T take() {
    this->rethrow_only();
    if constexpr (std::is_reference_v<T>)
      return static_cast<T>(*this->value());
    else if constexpr (!std::is_void_v<T>)
      return std::move(this->value());
  }
};

// A receiver's hold on it.
template <class T>
class completion_ref {
 public:
  completion_ref() noexcept = default;
  explicit completion_ref(completion_of<T>* adopted) noexcept : at_(adopted) {}
  completion_ref(const completion_ref& other) noexcept : at_(other.at_) {
    if (at_ != nullptr) at_->add_reference();
  }
  completion_ref(completion_ref&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  completion_ref& operator=(completion_ref other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~completion_ref() {
    if (at_ != nullptr) at_->drop_reference();
  }

  completion_of<T>* get() const noexcept { return at_; }
  completion_of<T>* operator->() const {
    if (at_ == nullptr) throw std::future_error(std::future_errc::no_state);
    return at_;
  }

 private:
  completion_of<T>* at_ = nullptr;
};

// A sender's share of it.
template <class T>
class completion_sender {
 public:
  completion_sender() noexcept = default;
  explicit completion_sender(completion_of<T>* of) noexcept : at_(of) {  // the first one
    at_->add_reference();
    at_->add_sender();
  }
  completion_sender(const completion_sender& other) noexcept : at_(other.at_) {
    if (at_ != nullptr) at_->add_sender();
  }
  completion_sender(completion_sender&& other) noexcept : at_(other.release()) {}
  completion_sender& operator=(completion_sender other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~completion_sender() {
    if (at_ != nullptr) at_->drop_sender();
  }

  completion_of<T>* get() const noexcept { return at_; }
  completion_of<T>* operator->() const {
    if (at_ == nullptr) throw std::future_error(std::future_errc::no_state);
    return at_;
  }
  completion_of<T>* release() noexcept { return std::exchange(at_, nullptr); }
  static completion_sender adopt(completion_of<T>* released) noexcept {
    completion_sender taken;
    taken.at_ = released;
    return taken;
  }

 private:
  completion_of<T>* at_ = nullptr;
};

// T as a parameter; something nobody has where T is void.
struct never_passed {
  never_passed() = delete;
};
template <class T>
using passed = std::conditional_t<std::is_void_v<T>, never_passed, T>;

}  // namespace weft::detail
