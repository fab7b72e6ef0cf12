#!/usr/bin/env python3
"""Renders the table of docs/performance.md from what run.py --json kept. Of several files the later ones win.

  table.py results.json...
"""
import json
import sys

FLOORS = ("context", "libuv")
OURS = "weft"
LIBRARIES = ("go", "tokio", "hyper", "rayon", "boost_fiber", "coroutine2")
# What is shown, workload and keys, workers, metric, the goal: at most so many times what stands there. A goal's
# reference is a program, "best" for the best of LIBRARIES, another case of ours, or None: then it is the number.
ROWS = [
    ("yield, 2 fibers", "yield n=2 m=2000000", 1, "ns_per_switch", (0.25, "best")),
    ("yield, 1000 fibers", "yield n=1000 m=4000", 1, "ns_per_switch", (0.25, "best")),
    ("yield with floating point, 2 fibers", "yield n=2 m=2000000 float=1", 1, "ns_per_switch",
     (1.1, "yield n=2 m=2000000")),
    ("yield with floating point, 1000 fibers", "yield n=1000 m=4000 float=1", 1, "ns_per_switch",
     (1.1, "yield n=1000 m=4000")),
    ("spawn and join, one by one", "spawn_join n=1000000", 1, "ns_per_fiber", (0.5, "best")),
    ("spawn and join, one by one", "spawn_join n=1000000", 2, "ns_per_fiber", (0.45, "best")),
    ("spawn 100k, join all", "spawn_join n=100000 mode=all", 1, "ns_per_fiber_warm", (0.5, "best")),
    ("spawn 100k, join all", "spawn_join n=100000 mode=all", 2, "ns_per_fiber_warm", (1.0, "best")),
    ("spawn 100k: peak of memory", "spawn_join n=100000 mode=all", 2, "peak", (60, None)),
    ("ping-pong by a rendezvous channel", "pingpong n=1000000", 1, "ns_per_roundtrip", (0.4, "best")),
    ("ping-pong by a rendezvous channel", "pingpong n=1000000", 2, "ns_per_roundtrip", (0.4, "best")),
    ("skynet, a million leaves, cold", "skynet n=1000000 reps=2", 1, "ms_cold", (0.25, "tokio")),
    ("skynet, a million leaves, cold", "skynet n=1000000 reps=2", 2, "ms_cold", (0.15, "tokio")),
    ("skynet: peak of memory", "skynet n=1000000 reps=2", 2, "peak", (410, None)),
    ("fib(32) in 196k tasks", "fib n=32 cut=8", 1, "ms", (0.3, "tokio")),
    ("fib(32) in 196k tasks", "fib n=32 cut=8", 2, "ms", (0.1, "tokio")),
    ("a million parked: memory of each", "idle n=1000000", 1, "bytes_per_fiber", (4505, None)),
    ("a million parked: to spawn each", "idle n=1000000", 1, "spawn_ns_per_fiber", (1.3, "context")),
    ("100k sleeps: CPU", "timers n=100000", 1, "cpu", (1.0, "tokio")),
    ("100k sleeps: late, p99", "timers n=100000", 1, "late_p99", (2000, None)),
    ("a million sleeps: wall", "timers n=1000000", 2, "wall", (1.0, "tokio")),
    ("a million sleeps: late, p99", "timers n=1000000", 2, "late_p99", (1.0, "go")),
    ("mutex, 100 fibers", "mutex n=100 m=100000", 2, "ns_per_op", (0.4, "best")),
    ("channel, 4 to 4 fibers", "mpmc n=1000000", 1, "ns_per_item", (1.0, "best")),
    ("channel, 4 to 4 fibers", "mpmc n=1000000", 2, "ns_per_item", (1.0, "best")),
    ("echo, 1 connection: p50", "echo conns=1", 1, "p50", (1.0, "go")),
    ("echo, 1 connection: CPU", "echo conns=1", 1, "cpu_us_per_request", (1.3, "libuv")),
    ("echo, 50 connections: CPU", "echo conns=50", 1, "cpu_us_per_request", (1.02, "libuv")),
    ("echo, 50 connections: CPU", "echo conns=50", 2, "cpu_us_per_request", (1.0, "best")),
    ("echo, 1000 connections: CPU", "echo conns=1000", 1, "cpu_us_per_request", (1.0, "best")),
    ("echo, 1000 connections: CPU", "echo conns=1000", 2, "cpu_us_per_request", (1.0, "best")),
    ("http with a parser, 50 connections: CPU", "http conns=50", 1, "cpu_us_per_request", (1.0, "hyper")),
    ("open, read 4 KiB, close", "file_read n=50000 c=64", 1, "us_per_op", (1.25, "context")),
    ("pread 4 KiB", "pread n=200000 c=64", 1, "us_per_op", (1.1, "context")),
    ("OS thread to fiber and back", "wake n=50000", 1, "us_per_roundtrip", (1.0, "go")),
    ("OS thread to fiber and back", "wake n=50000", 2, "us_per_roundtrip", (1.0, "go")),
    ("timeout around a call that does not park", "timeout n=1000000", 1, "ns_per_call", (50, None)),
    ("timeout around one that parks", "timeout n=1000000 mode=park", 1, "ns_per_call", None),
    ("select, one of two", "select n=1000000", 1, "ns_per_receive", None),
    ("generator, next value", "generator n=1000000", 1, "ns_per_value", None),
]


def read(paths):
    """{(case, workers): {program: metrics}}, and what each file says of its making."""
    cases, made = {}, []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        made.append(kept["meta"])
        for one in kept["results"]:
            key = (f"{one['workload']} {one['keys']}", one["workers"])
            if "metrics" in one:
                cases.setdefault(key, {})[one["program"]] = one["metrics"]
    return cases, made


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def row(shown, case, workers, metric, goal, cases):
    programs = cases.get((case, workers), {})
    values = {name: metrics[metric]["median"] for name, metrics in programs.items() if metric in metrics}
    unit = next((metrics[metric]["unit"] for metrics in programs.values() if metric in metrics), "")
    ours = values.get(OURS)
    best = min((name for name in LIBRARIES if name in values), key=values.get, default=None)

    def named(name):
        return f"{number(values[name])} ({name})" if name else ""

    floor = min((name for name in FLOORS if name in values), key=values.get, default=None)
    aim = ""
    if goal and ours is not None:
        factor, reference = goal
        name = best if reference == "best" else reference
        if reference is None:
            limit, aim = factor, f"{number(factor)} {unit}"
        elif "=" in reference:
            own = cases.get((reference, workers), {}).get(OURS, {}).get(metric)
            limit, aim = factor * own["median"] if own else None, f"{factor:g} × without"
        else:
            limit, aim = factor * values[name] if name in values else None, f"{factor:g} × {name}"
        if limit is not None:
            aim += ", reached" if ours <= limit else f", missed: {ours / limit:.2f} × that"
    ratio = f"{ours / values[best]:.2f}" if ours is not None and best else ""
    spread = ""
    if ours is not None and len(mine := programs[OURS][metric]["values"]) > 1:
        spread = f" ({number(min(mine))} .. {number(max(mine))})"
    here = f"{number(ours)}{spread}" if ours is not None else ""
    cells = [shown, str(workers), unit, here, named(floor), named(best), ratio, aim]
    return f"| {' | '.join(cells)} |"


def render(paths):
    cases, made = read(paths)
    lines = []
    for meta in made:
        seconds = f", {meta['seconds']} s" if "seconds" in meta else ""
        lines += [f"`{meta['command']}`, {meta['date']}: {meta['cpu']}, {meta['cpus']} CPUs, Linux {meta['kernel']}"
                  f"{', ' + meta['compiler'] if meta.get('compiler') else ''}"
                  f"{', libuv ' + meta['libuv'] if meta.get('libuv') else ''}; medians of {meta['runs']}{seconds}.", ""]
    lines += ["| workload | w | unit | weft | floor | best library | weft / best | goal: at most |",
              "|---|---|---|---|---|---|---|---|"]
    lines += [row(*each, cases) for each in ROWS]
    return "\n".join(lines)


if __name__ == "__main__":
    print(render(sys.argv[1:]))
