#!/usr/bin/env python3
"""Load and churn for a while, with an eye on what the processes hold (P2, P3).

soak.py PROGRAM [--short] [--connections N] [--seconds N] [--churn N]

Two runs of that many connections for so many seconds against one server: nothing fails, memory stays
flat within a run and from the first to the second. Then churn for so many seconds: descriptors are
back where they were, nothing is surprised, nobody waits for a second. --short is what the tests run.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time


def resident_mib(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def descriptors(pid):
    """What each of them is of."""
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(entry.path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return sorted(found)


def without_connections(pid):
    """Its descriptors, as soon as the listener's is the only socket."""
    for _ in range(100):
        held = descriptors(pid)
        if sum(name.startswith("socket:") for name in held) == 1:
            break
        time.sleep(0.05)
    return held


class Failure(Exception):
    pass


def expect(true, what):
    if not true:
        raise Failure(what)


def load(program, server, port, options):
    """One run; the most the server held, in MiB."""
    command = [program, "load", str(port), str(options.connections), str(options.seconds)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    connected = client.stdout.readline()
    samples = []
    step = min(10, options.seconds / 4)
    for at in range(int(options.seconds / step)):
        time.sleep(step)
        if client.poll() is not None:
            break
        samples.append(resident_mib(server.pid))
        print(f"  {(at + 1) * step:5.1f} s: server {samples[-1]:.1f} MiB, "
              f"{len(descriptors(server.pid))} descriptors; client {resident_mib(client.pid):.1f} MiB", flush=True)
    output, _ = client.communicate(timeout=60)
    said = dict(line.split() for line in (connected + output).splitlines())
    print(" ", said, flush=True)
    expect(client.returncode == 0, "the client ended badly")
    expect(int(said["connected"]) == options.connections, "not all could connect")
    expect(said["failed"] == said["wrong"] == "0", "errors")
    expect(int(said["answers"]) >= options.connections, "some were never answered")
    expect(samples[-1] <= 1.1 * samples[0] + 2, "memory grew in the course of the run")
    return max(samples)


def many_connections(program, options):
    server = subprocess.Popen([program, "server"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[1])
        before = without_connections(server.pid)
        peaks = []
        for turn in (1, 2):
            print(f"run {turn}: {options.connections} connections for {options.seconds} s", flush=True)
            peaks.append(load(program, server, port, options))
            after = without_connections(server.pid)
            expect(after == before, f"descriptors are left: {before} before, {after} now")
        expect(peaks[1] <= 1.2 * peaks[0], "the second run took more memory than the first")
        server.send_signal(signal.SIGTERM)
        expect(server.wait(30) == 0, "the server ended badly")
    finally:
        server.kill()
        server.wait()


def churn(program, seconds):
    print(f"churn for {seconds} s", flush=True)
    process = subprocess.Popen([program, "churn", str(seconds)], stdout=subprocess.PIPE, text=True)
    samples = []
    for line in process.stdout:
        words = line.split()
        samples.append(dict(zip(words[::2], map(int, words[1::2]))))
        if len(samples) % 10 == 1 or seconds < 10:
            print(" ", line.strip(), flush=True)
    print(" ", line.strip(), flush=True)
    expect(process.wait() == 0, "it ended badly")
    last = samples[-1]
    expect(last["surprised"] == 0, "something failed that should not")
    expect(last["whole"] > 100 and last["stopped"] > 100, "nothing much happened")
    # Standard streams, those of libuv and of the loops, and the folder that is listed.
    expect(last["descriptors"] < 40, "descriptors are left")
    expect(last["fibers"] <= 2, "fibers are left")
    if seconds >= 120:
        expect(last["latest_ms"] < 1000, "somebody waited for a second")
        grown = samples[-2]["rss_kb"] - samples[seconds // 2]["rss_kb"]
        per_minute = grown / 1024 / (seconds / 2 / 60)
        print(f"  memory: {per_minute:+.2f} MiB a minute in the second half")
        expect(per_minute < 1, "memory grows")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--churn", type=int, default=300)
    options = parser.parse_args()
    if options.short:
        options.connections, options.seconds, options.churn = 500, 2, 3
    try:
        many_connections(options.program, options)
        churn(options.program, options.churn)
    except Failure as failure:
        print("soak:", failure, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
