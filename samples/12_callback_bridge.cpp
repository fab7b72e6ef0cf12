// A C library that calls back on a thread of its own, with a void* of ours, used like a function.
#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

// ---- The library: it measures in the background and calls back once.

extern "C" {
typedef void (*measured_callback)(int error, double value, void* user);
void measure_start(const char* sensor, measured_callback then, void* user);
}

namespace {
std::vector<std::thread> measuring;  // the library's threads
}

void measure_start(const char* sensor, measured_callback then, void* user) {
  measuring.emplace_back([name = std::string(sensor), then, user] {
    std::this_thread::sleep_for(name == "slow" ? 300ms : 10ms);
    if (name == "broken")
      then(5, 0, user);
    else
      then(0, static_cast<double>(name.size()) * 1.5, user);
  });
}

// ---- The bridge: the pointer is a completer, taken back exactly once.

extern "C" void on_measured(int error, double value, void* user) {
  const auto done = weft::completer<double>::from(user);
  if (error != 0)
    done.fail(std::make_exception_ptr(std::runtime_error("error " + std::to_string(error))));
  else
    done(value);
}

double measure(const std::string& sensor) {
  return weft::await_callback<double>([&](weft::completer<double> done) {
    measure_start(sensor.c_str(), on_measured, std::move(done).release());
  });
}

int main() {
  weft::run([] {
    const auto [roof, cellar] =
        weft::gather([] { return measure("roof"); }, [] { return measure("cellar"); });
    std::cout << "roof " << roof << ", cellar " << cellar << '\n';

    try {
      measure("broken");
    } catch (const std::exception& e) {
      std::cout << "broken: " << e.what() << '\n';
    }

    try {
      weft::with_timeout(20ms, [] { return measure("slow"); });
    } catch (const weft::timed_out&) {
      std::cout << "slow: no answer in time\n";  // its late callback does no harm
    }
  });
  for (auto& each : measuring) each.join();
}
