"""Python's generators in the comparison with other libraries; the protocol is in ../README.md."""
import sys
import time


def walk(i, n):
    """A complete binary tree in an array's order: the children of i are 2 i + 1 and 2 i + 2."""
    if i < n:
        yield from walk(2 * i + 1, n)
        yield i
        yield from walk(2 * i + 2, n)


def count(n):
    for i in range(n):
        yield i


if sys.argv[1:2] != ["generator"]:
    sys.exit(2)
given = dict(word.split("=", 1) for word in sys.argv[2:])
n = int(given.get("n", 1_000_000))
begin = time.perf_counter_ns()
total = sum(walk(0, n) if given.get("mode") == "tree" else count(n))
print(f"generator ns_per_value {(time.perf_counter_ns() - begin) / n:.3f} ns")
sys.exit(total != n * (n - 1) // 2)
