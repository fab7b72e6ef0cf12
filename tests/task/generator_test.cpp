#include <weft/generator.hpp>
#include "support/fixture.hpp"
namespace {
TEST(X, Y) { weft::generator<int> g([](auto& yield) { for (int i = 0; i < 3; ++i) yield(i); });
 int n = 0; for (int i : g) EXPECT_EQ(i, n++); EXPECT_EQ(n, 3); }
}
