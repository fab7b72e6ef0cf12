// Does two things at once and waits for both: one second and two seconds take two, not three.
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <weft/weft.hpp>

using namespace std::chrono_literals;
using std::chrono::steady_clock;

std::string boil_an_egg() {
  weft::sleep(2s);
  return "an egg";
}

int toast_bread() {
  weft::sleep(1s);
  return 2;
}

int main() {
  weft::run([] {
    const auto begin = steady_clock::now();
    const auto [egg, slices] = weft::gather(boil_an_egg, toast_bread);
    const std::chrono::duration<double> took = steady_clock::now() - begin;
    std::cout << "Breakfast: " << egg << " and " << slices << " slices of toast, after "
              << std::lround(took.count()) << " seconds.\n";
  });
}
