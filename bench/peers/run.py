#!/usr/bin/env python3
"""Runs the workloads of README.md with our program and any others, in turn; prints medians.

  run.py [--only yield,fib] [--workers 1] [--runs 3] [--with NAME=COMMAND]...
"""
import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.join(HERE, "..", "..", "build", "release", "bench", "weft_bench")
CASES = [  # workload, its keys, worker counts
    ("yield", "n=2 m=2000000", (1,)),
    ("yield", "n=1000 m=4000", (1,)),
    ("spawn_join", "n=1000000", (1, 2)),
    ("spawn_join", "n=100000 mode=all", (1, 2)),
    ("pingpong", "n=1000000", (1, 2)),
    ("skynet", "n=1000000 reps=2", (1, 2)),
    ("idle", "n=100000", (1,)),
    ("timers", "n=100000", (1, 2)),
    ("mutex", "n=100 m=100000", (2,)),
    ("mpmc", "n=1000000", (1, 2)),
    ("fib", "n=32 cut=8", (1, 2)),
    ("file_read", "n=50000 c=64 f={small}", (1, 2)),
    ("pread", "n=200000 c=64 f={large}", (1, 2)),
    ("wake", "n=50000", (1, 2)),
]


def run(command):
    """The metrics that it printed, {name: (value, unit)}, or what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return "unsupported" if done.returncode == 2 else f"status {done.returncode}: {done.stderr.strip()}"
    lines = [line.split() for line in done.stdout.splitlines()]
    return {metric: (float(value), unit) for _, metric, value, unit in lines}


def measure(programs, arguments, runs):
    values, errors = {}, {}
    for _ in range(runs):
        for name, command in programs.items():
            if name in errors:
                continue
            result = run(command + arguments)
            if isinstance(result, str):
                errors[name] = result
                continue
            for metric, (value, unit) in result.items():
                values.setdefault((name, metric, unit), []).append(value)
    for (name, metric, unit), all_values in values.items():
        print(f"  {name:16} {metric:20} {statistics.median(all_values):12.2f} {unit:3}"
              f" [{min(all_values):.2f} .. {max(all_values):.2f}]")
    for name, error in errors.items():
        print(f"  {name:16} {error}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="workloads, separated by commas")
    parser.add_argument("--workers", type=int, help="only this number of workers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=COMMAND")
    given = parser.parse_args()

    programs = {"weft": [OURS]}
    for other in given.others:
        name, command = other.split("=", 1)
        programs[name] = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        files = {"small": os.path.join(folder, "4k"), "large": os.path.join(folder, "256m")}
        for path, blocks in ((files["small"], 1), (files["large"], 65536)):
            with open(path, "wb") as file:
                for _ in range(blocks):
                    file.write(b"0123456789abcdef" * 256)
        for workload, keys, workers in CASES:
            if given.only and workload not in given.only.split(","):
                continue
            for w in workers:
                if given.workers in (None, w):
                    print(f"{workload} {keys.split(' f=')[0]} w={w}")
                    arguments = keys.format(**files).split() + [f"w={w}"]
                    measure(programs, [workload, *arguments], given.runs)


main()
