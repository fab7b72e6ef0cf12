#!/usr/bin/env python3
"""Runs the workloads of README.md with our program and others, in turn; prints medians.

  run.py [--only yield,fib] [--peers go,tokio] [--workers 1] [--runs 3] [--secs 2] [--markdown]
         [--json FILE] [--with NAME=COMMAND]...
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import programs
import runs

OURS = os.path.join(programs.HERE, "..", "..", "build", "release", "bench", "weft_bench")
SLOW_SECONDS = 10  # what took longer is not repeated
TIMEOUT_SECONDS = 120
UNSUPPORTED = "unsupported"
SERVERS = ("echo", "http")
WITH_PEAK = ("spawn_join", "skynet")
CASES = [  # workload, its keys, worker counts, operations (0: CPU time is not shown for each)
    ("yield", "n=2 m=2000000", (1,), 4_000_000),
    ("yield", "n=1000 m=4000", (1,), 4_000_000),
    ("yield", "n=2 m=2000000 float=1", (1,), 4_000_000),
    ("yield", "n=1000 m=4000 float=1", (1,), 4_000_000),
    ("spawn_join", "n=1000000", (1, 2), 1_000_000),
    ("spawn_join", "n=100000 mode=all", (1, 2), 400_000),
    ("pingpong", "n=1000000", (1, 2), 1_000_000),
    ("skynet", "n=1000000 reps=2", (1, 2), 2_000_000),
    ("fib", "n=32 cut=8", (1, 2), 0),
    ("idle", "n=100000", (1,), 0),
    ("idle", "n=1000000", (1,), 0),
    ("timers", "n=100000", (1, 2), 0),
    ("timers", "n=1000000", (1, 2), 0),
    ("mutex", "n=100 m=100000", (1, 2), 10_000_000),
    ("mpmc", "n=1000000", (1, 2), 1_000_000),
    ("echo", "conns=1", (1, 2), 0),
    ("echo", "conns=50", (1, 2), 0),
    ("echo", "conns=1000", (1, 2), 0),
    ("http", "conns=50", (1, 2), 0),
    ("file_read", "n=50000 c=64 f={small}", (1, 2), 0),
    ("pread", "n=200000 c=64 f={large}", (1, 2), 0),
    ("wake", "n=50000", (1, 2), 50_000),
    ("select", "n=1000000", (1, 2), 1_000_000),
    ("select", "n=100000 cases=64", (1, 2), 100_000),
    ("timeout", "n=1000000", (1,), 1_000_000),
    ("timeout", "n=1000000 mode=park", (1, 2), 1_000_000),
    ("generator", "n=1000000", (1,), 1_000_000),
    ("generator", "n=1000000 mode=tree", (1,), 1_000_000),
]


def run(command, workload, operations):
    """The metrics that it printed, {(name, unit): value}, or what went wrong."""
    used = {}
    lines = runs.output_of(command, TIMEOUT_SECONDS, used)
    if isinstance(lines, str):
        return lines
    metrics = {(metric, unit): float(value) for _, metric, value, unit in lines}
    if operations:
        metrics["cpu_ns_per_op", "ns"] = used["cpu"] * 1e9 / operations
    if workload in WITH_PEAK:  # of a small program it is our own, which it had before it became another one
        metrics["peak", "MiB"] = used["peak"]
    return metrics


def measure(commands, load, case, files, workers, given):
    """All values, {(metric, unit): {program: [value...]}}, and what went wrong, {program: text}."""
    workload, keys, _, operations = case
    words = [workload, *keys.format(**files).split(), f"w={workers}"]
    values, errors, slow = {}, {}, set()
    for _ in range(given.runs):
        for name, command in commands.items():
            if name in errors or name in slow:
                continue
            begin = time.monotonic()
            if workload in SERVERS:
                result = runs.serve(command + words, load, given.secs, workers)
            else:
                result = run(command + words, workload, operations)
            if isinstance(result, str):
                errors[name] = result
                continue
            for metric, value in result.items():
                values.setdefault(metric, {}).setdefault(name, []).append(value)
            if time.monotonic() - begin > SLOW_SECONDS and workload not in SERVERS:
                slow.add(name)
    return values, errors


def best_ratio(metric_unit, by_program):
    """Our median by the smallest of the peers, and whose that is; the smaller, the better."""
    if metric_unit[1] == "1/s":
        return None
    medians = {name: statistics.median(all_values) for name, all_values in by_program.items()}
    ours = medians.pop("weft", None)
    peers = {name: value for name, value in medians.items() if name not in programs.FLOORS}
    best = min(peers, key=peers.get, default=None)
    if ours is None or best is None or peers[best] <= 0:
        return None
    return ours / peers[best], best


def print_text(case, _, values, errors):
    print(case)
    for (metric, unit), by_program in values.items():
        for name, all_values in by_program.items():
            print(f"  {name:16} {metric:20} {statistics.median(all_values):12.2f} {unit:3}"
                  f" [{min(all_values):.2f} .. {max(all_values):.2f}]")
    for name, error in errors.items():
        if error != UNSUPPORTED:
            print(f"  {name:16} {error}")
    for metric, by_program in values.items():
        if ratio := best_ratio(metric, by_program):
            print(f"  weft / best      {metric[0]:20} {ratio[0]:12.2f}     ({ratio[1]})")


def print_markdown(case, names, values, errors):
    def short(value):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"

    def cell(all_values):
        if not all_values:
            return ""
        return f"{short(statistics.median(all_values))} ({short(min(all_values))}..{short(max(all_values))})"

    for (metric, unit), by_program in values.items():
        cells = [cell(by_program.get(name)) for name in names]
        ratio = best_ratio((metric, unit), by_program)
        against = f"{ratio[0]:.2f} ({ratio[1]})" if ratio else ""
        label = metric if metric.startswith((unit, "cpu_" + unit)) else f"{metric}, {unit}"
        print(f"| {case} | {label} | {' | '.join(cells)} | {against} |")
    for name, error in errors.items():
        if error != UNSUPPORTED:
            print(f"{case}: {name}: {error}", file=sys.stderr)


def records(case, workers, values, errors):
    """What --json keeps of a case, for table.py."""
    for name in dict.fromkeys(name for by in values.values() for name in by):
        metrics = {metric: {"unit": unit, "median": statistics.median(by[name]), "values": by[name]}
                   for (metric, unit), by in values.items() if name in by}
        yield {"workload": case[0], "keys": case[1].split(" f=")[0], "workers": workers, "program": name,
               "metrics": metrics}
    for name, error in errors.items():
        if error != UNSUPPORTED:
            yield {"workload": case[0], "keys": case[1].split(" f=")[0], "workers": workers, "program": name,
                   "error": error}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="workloads, separated by commas")
    parser.add_argument("--peers", help=f"of {','.join(programs.BUILDERS)}, separated by commas; '' for none")
    parser.add_argument("--workers", type=int, help="only this number of workers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--secs", type=int, default=2, help="seconds of load on a server")
    parser.add_argument("--markdown", action="store_true", help="print a table")
    parser.add_argument("--json", metavar="FILE", help="keep all figures there, for table.py")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=COMMAND")
    given = parser.parse_args()
    given.peers = list(programs.BUILDERS) if given.peers is None else given.peers.split(",") if given.peers else []
    for name in given.peers:
        if name not in programs.BUILDERS:
            parser.error(f"there is no peer {name}")
    return given


def chosen(given):
    for case in CASES:
        if not given.only or case[0] in given.only.split(","):
            for workers in case[2]:
                if given.workers in (None, workers):
                    yield case, workers


def main():
    given = arguments()
    commands = {"weft": [OURS], **programs.build(given.peers)}
    for other in given.others:
        name, command = other.split("=", 1)
        commands[name] = shlex.split(command)
    load = programs.build(["load"])
    show = print_markdown if given.markdown else print_text
    kept = []
    begin = time.monotonic()
    if given.markdown:
        print(f"| case | metric | {' | '.join(commands)} | weft / best |\n|---|---|{'---|' * (len(commands) + 1)}")
    with tempfile.TemporaryDirectory() as folder:
        files = {"small": os.path.join(folder, "4k"), "large": os.path.join(folder, "256m")}
        for path, blocks in ((files["small"], 1), (files["large"], 65536)):
            with open(path, "wb") as file:
                for _ in range(blocks):
                    file.write(b"0123456789abcdef" * 256)
        for case, workers in chosen(given):
            values, errors = measure(commands, load, case, files, workers, given)
            show(f"{case[0]} {case[1].split(' f=')[0]} w={workers}", list(commands), values, errors)
            sys.stdout.flush()
            kept.extend(records(case, workers, values, errors))
    if given.json:
        meta = {**runs.host(), "command": " ".join(["run.py", *sys.argv[1:]]), "runs": given.runs,
                "seconds": round(time.monotonic() - begin)}
        with open(given.json, "w", encoding="utf-8") as file:
            lines = ",\n".join(map(json.dumps, kept))
            file.write(f'{{"meta": {json.dumps(meta)},\n"results": [\n{lines}\n]}}\n')


main()
