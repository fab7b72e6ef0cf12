// Waits for whichever comes first: a guest, a caller, or closing time.
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
using orders = weft::channel<std::string>;

int main() {
  weft::run([] {
    const orders counter;
    const orders phone;
    auto guest = weft::go([=] {
      counter.send("soup");
      weft::sleep(200ms);
      counter.send("toast");
    });
    auto caller = weft::go([=] {
      weft::sleep(100ms);
      phone.send("two pizzas");
    });

    auto serve = [](std::optional<std::string> order) {
      std::cout << "One more: " << *order << '\n';
    };
    bool open = true;
    while (open)
      weft::select(weft::on_recv(counter, serve), weft::on_recv(phone, serve),
                   weft::after(300ms, [&] { open = false; }));
    std::cout << "Nobody comes any more. Good night.\n";

    guest.join();
    caller.join();
  });
}
