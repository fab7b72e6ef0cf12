#!/usr/bin/env python3
"""Compares how many instructions some operations take with budgets.txt. See probe.cpp.

usage: budgets.py [--rewrite] <probe> <compiler>
       budgets.py --skip <why>

An operation's count is (I(2n) - I(n)) / n, where I(n) is what valgrind counts while the probe does it n
times: starting and ending cancel out. Over 10 % above its budget is a failure; 10 % below, a hint to
lower the budget. <compiler> is what built the probe, like "gcc 12": another one makes other code, so the
budgets say which they are for, and with any other the comparison is skipped.
"""
import os
import re
import subprocess
import sys

BUDGETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "budgets.txt")
SKIPPED = 77  # the exit status that meson takes for it
TOLERANCE = 0.10
OPERATIONS = {"yield": 40000, "spawn_join": 20000, "pingpong": 20000, "timeout": 20000, "echo": 5000}
HEADER = """\
# Instructions in user space for each operation, as tests/bench/budgets.py counts them.
# Rewritten by: ./dev bench budgets
"""


def instructions(probe, operation, n):
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(command + [probe, operation, str(n)], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, timeout=100)
    counted = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode or not counted:
        sys.exit(f"{operation}: the probe failed under valgrind, status {done.returncode}\n{done.stderr}")
    return int(counted[1].replace(",", ""))


def counts(probe):
    def of(operation, n):
        return (instructions(probe, operation, 2 * n) - instructions(probe, operation, n)) / n

    return {operation: of(operation, n) for operation, n in OPERATIONS.items()}


def read():
    with open(BUDGETS, encoding="utf-8") as file:
        pairs = [line.split(maxsplit=1) for line in file if line.strip() and not line.startswith("#")]
    found = {key: value.strip() for key, value in pairs}
    return found.pop("compiler"), {key: float(value) for key, value in found.items()}


def rewrite(probe, compiler):
    lines = [f"compiler {compiler}"] + [f"{name} {count:.0f}" for name, count in counts(probe).items()]
    with open(BUDGETS, "w", encoding="utf-8") as file:
        file.write(HEADER + "\n".join(lines) + "\n")
    print("\n".join(lines))


def compare(probe, compiler):
    """Whether all budgets are kept. Says how each operation stands."""
    made_for, budgets = read()
    if made_for != compiler:
        print(f"skipped: the budgets are for {made_for}, this is {compiler}")
        sys.exit(SKIPPED)
    kept = True
    for name, count in counts(probe).items():
        change = count / budgets[name] - 1
        print(f"{name:12} {count:8.1f} instructions, budget {budgets[name]:6.0f}, {change:+.1%}")
        if change > TOLERANCE:
            kept = False
            print(f"FAILED: {name} takes over {TOLERANCE:.0%} more instructions than its budget. Find out why:\n"
                  f"    valgrind --tool=callgrind {probe} {name} {OPERATIONS[name]}\n"
                  "If it has to be, raise the budget: ./dev bench budgets")
        elif change < -TOLERANCE:
            print(f"hint: {name} got faster. Lower the budget, so that it stays so: ./dev bench budgets")
    return kept


def main():
    given = sys.argv[1:]
    if given[:1] == ["--skip"]:
        print(f"skipped: {given[1]}")
        sys.exit(SKIPPED)
    if given[:1] == ["--rewrite"]:
        return rewrite(*given[1:])
    sys.exit(0 if compare(*given) else 1)


main()
