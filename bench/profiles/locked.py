#!/usr/bin/env python3
"""Counts the locked instructions that each operation executes: what may contend when there are many cores.

  locked.py [--workers 4] [--only "spawn and join,mutex"]

Runs bench/peers/weft under callgrind, which counts each instruction on its own, and takes those that lock a
cache line (lock prefix, or xchg with memory), by function, also those of the C library and libuv. Valgrind runs
one thread at a time, so these are counts without contention.
"""
import argparse
import os
import re
import subprocess

import callgrind

CASES = {  # words, n, how many operations one n is
    "yield, 64 fibers": ("yield n=64 m={n}", 1000, 64), "spawn and join": ("spawn_join n={n}", 20000, 1),
    "spawn all, then join": ("spawn_join mode=all n={n}", 10000, 4), "ping-pong": ("pingpong n={n}", 20000, 1),
    "channel, 4 to 4 fibers": ("mpmc n={n}", 20000, 1), "mutex": ("mutex n=100 m={n}", 500, 100),
    "timeout": ("timeout n={n}", 20000, 1), "wake from a thread": ("wake n={n}", 1000, 1),
    "echo, both ends": ("loopback n={n} conns=8", 2000, 1),
}
LOCKED = re.compile(r"^\s*([0-9a-f]+):\t(?:[0-9a-f]{2} )+\s*\t?(?:lock |xchg\s+.*\()")
locked_in = {}


def is_locked(binary, address):
    if binary not in locked_in:
        text = ""
        if os.path.exists(binary):
            text = subprocess.run(["objdump", "-d", "-w", binary], capture_output=True, text=True).stdout
        locked_in[binary] = {int(match[1], 16) for match in map(LOCKED.match, text.splitlines()) if match}
    return address in locked_in[binary]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", help="cases, separated by commas")
    given = parser.parse_args()
    for name, (words, n, operations) in CASES.items():
        if given.only and name not in given.only.split(","):
            continue
        command = [callgrind.BENCH, *words.split(), f"w={given.workers}"]
        found = callgrind.each(command, n, operations, is_locked)
        print(f"{name}: {sum(found.values()):.1f} for each, {given.workers} workers")
        callgrind.print_table(found, 0.05)


main()
