// A pipeline of channels: each prime that comes out adds a fiber that keeps its multiples back.
#include <iostream>
#include <weft/weft.hpp>

using numbers = weft::channel<int>;

numbers without_multiples_of(int prime, const numbers& in) {
  const numbers out;
  weft::go([=] {
    for (int n : in)
      if (n % prime != 0) out.send(n);
    out.close();  // and so the end runs through all stages
  }).detach();
  return out;
}

int main() {
  weft::run([] {
    const numbers all;
    weft::go([=] {
      for (int n = 2; n <= 50; ++n) all.send(n);
      all.close();
    }).detach();

    numbers sieved = all;
    while (const auto prime = sieved.recv()) {
      std::cout << *prime << '\n';
      sieved = without_multiples_of(*prime, sieved);
    }
  });
}
