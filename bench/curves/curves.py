#!/usr/bin/env python3
"""Measures how costs grow with the number of fibers, timers, connections and workers; draws docs/curves/*.svg.

  curves.py [--runs 3] [--only fibers,timers,connections,workers] [--draw]

Runs bench/peers/weft, and of the other programs there those that can be built. What was measured is kept in
docs/curves/curves.json; --draw only draws that again.
"""
import argparse
import json
import os
import re
import statistics
import sys

import chart

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "peers"))
import programs  # noqa: E402
import runs  # noqa: E402

OURS = os.path.join(HERE, "..", "..", "build", "release", "bench", "weft_bench")
OUT = os.path.join(HERE, "..", "..", "docs", "curves")
PEERS = ["context", "libuv", "go", "tokio"]
FLOORS = ("context", "libuv")
WORKERS = [1, 2, 4, 8, 16, 64]
# Title, workload and keys, what its operations are, how many.
COUNTED = [
    ("spawn and join, one by one", "spawn_join n=200000", "fiber", 200_000),
    ("spawn 100k, join all", "spawn_join n=100000 mode=all", "fiber", 400_000),
    ("ping-pong, 64 pairs", "pingpong n=400000 pairs=64", "round trip", 400_000),
    ("channel, 16 to 16 fibers", "mpmc n=500000 p=16 c=16", "value", 500_000),
    ("skynet, 100k leaves", "skynet n=100000 reps=2", "fiber", 222_222),
    ("mutex, 100 fibers", "mutex n=100 m=10000", "lock", 1_000_000),
    ("echo, 50 connections", "loopback n=40000 conns=50", "request", 40_000),
    ("echo, 1 connection", "loopback n=20000 conns=1", "request", 20_000),
]
COUNTS = {"switches": "switches of fibers", "steals": "steals", "sleeps": "sleeps of workers", "polls": "polls",
          "thread_switches": "threads that gave up the CPU", "preemptions": "preemptions"}


class Lab:
    def __init__(self, runs):
        self.runs = runs
        self.commands = {"weft": [OURS], **programs.build(PEERS)}
        self.load = programs.build(["load"])

    def median(self, once):
        """The median of each of the metrics, {name: value}; empty if the program has no such workload."""
        results = [once() for _ in range(self.runs)]
        if any(isinstance(result, str) for result in results):
            return {}
        return {key: statistics.median(result[key] for result in results) for key in results[0]}

    def program(self, name, words):
        command = [*self.commands[name], *words.split()]

        def once():
            done = runs.output_of(command, 120)
            if isinstance(done, str):
                return done
            return {line[1]: float(line[2]) for line in done}

        return self.median(once)

    def server(self, name, words, workers):
        command = [*self.commands[name], *words.split(), f"w={workers}"]

        def once():
            result = runs.serve(command, self.load, 1, workers)
            return result if isinstance(result, str) else {key: value for (key, _), value in result.items()}

        return self.median(once)

    def curve(self, names, xs, measure, metrics):
        """{metric: {program: [[x, y]...]}}"""
        curves = {metric: {} for metric in metrics}
        for name in names:
            if name not in self.commands:
                continue
            for x in xs:
                found = measure(name, x)
                for metric in metrics:
                    if metric in found:
                        curves[metric].setdefault(name, []).append([x, found[metric]])
        return curves


def fibers(lab):
    sizes = [2, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    peers = ["weft", "context", "go", "tokio"]
    yields = lab.curve(peers, sizes, lambda name, n: lab.program(name, f"yield n={n} m={max(2_000_000 // n, 16)} w=1"),
                       ["ns_per_switch"])
    spawns = lab.curve(peers, sizes[2:], lambda name, n: lab.program(name, f"spawn_join mode=all n={n} w=1"),
                       ["ns_per_fiber_warm"])
    parked = lab.curve(peers, sizes[3:], lambda name, n: lab.program(name, f"idle n={n} w=1"),
                       ["bytes_per_fiber", "spawn_ns_per_fiber"])
    return {**yields, **spawns, **parked}


def timers(lab):
    def measure(name, n):
        found = lab.program(name, f"timers n={n} w=1")
        return {**found, "cpu": found["cpu"] * 1e6 / n} if found else {}

    return lab.curve(["weft", "libuv", "go", "tokio"], [1000, 10_000, 100_000, 300_000], measure, ["cpu", "late_p99"])


def connections(lab):
    def measure(workers):
        return lambda name, n: lab.server(name, f"echo conns={n}", workers)

    names, sizes = ["weft", "libuv", "context", "go", "tokio"], [1, 5, 20, 100, 500, 2000]
    return {f"w={w}": lab.curve(names, sizes, measure(w), ["cpu_us_per_request"])["cpu_us_per_request"]
            for w in (1, 2)}


def workers(lab):
    found = {}
    for title, words, _, operations in COUNTED:
        def measure(name, w, words=words, operations=operations):
            counted = lab.program(name, f"{words} w={w} counts=1")
            return {key: counted[key] / operations for key in COUNTS}

        found[title] = {COUNTS[metric]: by["weft"] for metric, by in lab.curve(["weft"], WORKERS, measure, COUNTS).items()}
    return found


def draw_fibers(found):
    chart.draw(os.path.join(OUT, "fibers.svg"), [
        chart.Panel("yield", "fibers", "ns for each switch", found["ns_per_switch"], floors=FLOORS),
        chart.Panel("spawn all, then join all", "fibers", "ns for each fiber, warm", found["ns_per_fiber_warm"],
                    floors=FLOORS),
        chart.Panel("memory of parked fibers", "fibers", "resident bytes for each", found["bytes_per_fiber"],
                    floors=FLOORS),
        chart.Panel("spawn that parks", "fibers", "ns for each, page faults and all", found["spawn_ns_per_fiber"],
                    floors=FLOORS),
    ], 2)


def draw_timers(found):
    chart.draw(os.path.join(OUT, "timers.svg"), [
        chart.Panel("CPU time of sleeps of 1 to 1000 ms", "sleeps at once", "us for each", found["cpu"],
                    floors=FLOORS),
        chart.Panel("how late, 99th percentile", "sleeps at once", "us", found["late_p99"], floors=FLOORS),
    ], 2)


def draw_connections(found):
    chart.draw(os.path.join(OUT, "connections.svg"), [
        chart.Panel(f"echo, {title}", "connections", "us of the server's CPU for each request", lines, log_y=False,
                    floors=FLOORS) for title, lines in found.items()], 2)


def draw_workers(found):
    unit = {title: operation for title, _, operation, _ in COUNTED}
    chart.draw(os.path.join(OUT, "workers.svg"), [
        chart.Panel(title, "workers, on 2 CPUs", f"for each {unit[title]}", lines, x_ticks=WORKERS, least_y=1e-5)
        for title, lines in found.items()], 2)


GROUPS = {"fibers": (fibers, draw_fibers), "timers": (timers, draw_timers),
          "connections": (connections, draw_connections), "workers": (workers, draw_workers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="groups, separated by commas")
    parser.add_argument("--draw", action="store_true", help="draw what is in docs/curves/curves.json")
    given = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, "curves.json")
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    names = given.only.split(",") if given.only else list(GROUPS)
    lab = None if given.draw else Lab(given.runs)
    for name in names:
        measure, draw = GROUPS[name]
        if lab:
            print(f"measuring {name}", file=sys.stderr)
            kept[name] = {"host": runs.host(), "curves": measure(lab)}
            with open(path, "w", encoding="utf-8") as file:
                file.write(compact(kept))
        if name in kept:
            draw(kept[name]["curves"])
            print(os.path.relpath(os.path.join(OUT, name + ".svg")))


def compact(kept):
    """JSON with a line for each curve."""
    rounded = json.loads(json.dumps(kept), parse_float=lambda text: float(f"{float(text):.4g}"))
    text = json.dumps(rounded, indent=1)
    return re.sub(r"\[\s+\[.*?\]\s+\]", lambda match: re.sub(r"\s+", " ", match[0]), text, flags=re.S) + "\n"


main()
