// Walks trees by generators: a recursive function hands out the values one at a time, and two trees
// of different shape are compared leaf by leaf, only as far as needed ("same fringe").
#include <iostream>
#include <memory>
#include <string>
#include <weft/generator.hpp>

struct tree {
  std::string name;  // of a leaf
  std::unique_ptr<tree> left, right;
};

std::unique_ptr<tree> leaf(const std::string& name) {
  return std::make_unique<tree>(tree{name, nullptr, nullptr});
}

std::unique_ptr<tree> join(std::unique_ptr<tree> left, std::unique_ptr<tree> right) {
  return std::make_unique<tree>(tree{"", std::move(left), std::move(right)});
}

int visited = 0;

// Plain recursion: the generator's stack remembers the way.
void visit(const tree& at, weft::yielder<const std::string&>& yield) {
  ++visited;
  if (at.left) visit(*at.left, yield);
  if (at.right) visit(*at.right, yield);
  if (!at.left && !at.right) yield(at.name);
}

weft::generator<const std::string&> leaves(const tree& of) {
  return weft::generator<const std::string&>([&of](auto& yield) { visit(of, yield); });
}

// The same with a generator for each node. Values go straight from the innermost to the consumer.
weft::generator<const std::string&> leaves_by_parts(const tree& of) {
  return weft::generator<const std::string&>([&of](auto& yield) {
    if (of.left) yield.from(leaves_by_parts(*of.left));
    if (of.right) yield.from(leaves_by_parts(*of.right));
    if (!of.left && !of.right) yield(of.name);
  });
}

bool same_fringe(const tree& a, const tree& b) {
  auto from_a = leaves(a);
  auto from_b = leaves(b);
  for (;;) {
    const std::string* x = from_a.next();
    const std::string* y = from_b.next();
    if (x == nullptr || y == nullptr) return x == y;
    if (*x != *y) return false;  // what is left of either is never visited
  }
}

int main() {
  const auto leaning = join(join(join(leaf("oak"), leaf("ash")), leaf("elm")), leaf("fir"));
  const auto balanced = join(join(leaf("oak"), leaf("ash")), join(leaf("elm"), leaf("fir")));
  const auto other = join(leaf("oak"), join(leaf("yew"), join(leaf("elm"), leaf("fir"))));

  std::cout << "Leaves:";
  for (const std::string& name : leaves(*leaning)) std::cout << ' ' << name;
  std::cout << "\nBy parts:";
  for (const std::string& name : leaves_by_parts(*balanced)) std::cout << ' ' << name;

  std::cout << "\nLeaning and balanced: " << (same_fringe(*leaning, *balanced) ? "same" : "differ");
  visited = 0;
  std::cout << "\nLeaning and other: " << (same_fringe(*leaning, *other) ? "same" : "differ")
            << ", after " << visited << " of 14 nodes\n";
}
