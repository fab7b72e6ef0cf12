#!/usr/bin/env python3
"""Which system calls an operation makes, by strace -f -c: for n and 2n operations; the difference is what n cost.

  calls.py [--workers 1]
"""
import argparse
import re
import subprocess
import tempfile

import callgrind

CASES = {
    "spawn and join": ("spawn_join n={n}", 50000), "100k sleeps of 1 to 1000 ms": ("timers n={n}", 50000),
    "echo, both ends, 50 connections": ("loopback n={n} conns=50", 10000),
    "echo, both ends, 1 connection": ("loopback n={n} conns=1", 5000),
    "wake from a thread": ("wake n={n}", 3000), "open, read, close": ("file_read n={n} c=64 f={file}", 5000),
    "pread": ("pread n={n} c=64 f={file}", 5000),
}


def calls(words, workers):
    with tempfile.NamedTemporaryFile("r") as out:
        subprocess.run(["strace", "-f", "-c", "-U", "calls,name", "-o", out.name, callgrind.BENCH, *words.split(),
                        f"w={workers}"], capture_output=True, timeout=120)
        return {name: int(n) for n, name in re.findall(r"^ *(\d+) +(\w+)$", out.read(), re.M) if name != "total"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    file = tempfile.NamedTemporaryFile()
    file.truncate(256 << 20)
    for name, (words, n) in CASES.items():
        less, more = (calls(words.format(n=m, file=file.name), given.workers) for m in (n, 2 * n))
        print(f"{name}, {given.workers} workers" if given.workers > 1 else name)
        callgrind.print_table({call: (more[call] - less.get(call, 0)) / n for call in more}, 0.005)


main()
