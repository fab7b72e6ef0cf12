#!/usr/bin/env python3
"""Runs files into faults from outside: file_fault_test.py PROGRAM.

Interrupted and cached system calls by strace, a full disk by a small tmpfs in a mount namespace of
its own. What cannot be had here is said to be SKIPPED; it ends with 77 if that is everything.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
INTERRUPTED = (
    "read,write,pread64,pwrite64,preadv2,?pwritev,writev,openat,openat2,fsync,fdatasync,getdents64,"
    "copy_file_range,ftruncate,unlinkat,readlink"
)
# What tells of other threads.
THREADS = re.compile(r"\b(futex|clone|clone3|vfork|fork)\(")


def skipped(why):
    print("SKIPPED:", why)
    return False


def has_strace():
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0


def check(program, what):
    output = program.communicate(timeout=100)[0]
    if program.returncode != 0 or not output.endswith("ok\n"):
        sys.exit(f"{what}: ended with {program.returncode} and said: {output}")
    print("ok:", what)
    return True


def interrupted(folder):
    """Every second of these calls is interrupted. The loader would not bear that: so strace comes later."""
    if not has_strace():
        return skipped("no strace that may trace: interrupted system calls")
    program = subprocess.Popen(
        [PROGRAM, "copy", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    program.stdout.readline()
    trace = os.path.join(folder, "trace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", trace, "-p", str(program.pid), "-e", "trace=" + INTERRUPTED,
         "-e", f"inject={INTERRUPTED}:error=EINTR:when=1+2"],
        stderr=subprocess.PIPE, text=True,
    )
    attached = tracer.stderr.readline()
    if "attached" not in attached:
        program.kill()
        program.wait()
        return skipped("strace cannot attach: " + attached.strip())
    done = check(program, "interrupted system calls")
    tracer.communicate(timeout=60)
    with open(trace) as file:
        text = file.read()
    for name in ("pwrite64", "pwritev", "preadv2", "openat2", "openat", "fsync", "fdatasync", "getdents64"):
        if not re.search(rf"\b{name}\(.*EINTR.*INJECTED", text):
            sys.exit(f"no {name} was interrupted:\n{text[-2000:]}")
    return done


def cached(folder):
    """What is in the page cache is read without another thread."""
    if not has_strace():
        return skipped("no strace that may trace: threads of cached reads")
    trace = os.path.join(folder, "trace")
    program = subprocess.Popen(
        ["strace", "-f", "-o", trace, PROGRAM, "cached", folder], stdout=subprocess.PIPE, text=True
    )
    check(program, "cached reads, traced")
    with open(trace) as file:
        text = file.read()
    before, after = text.split("/weft-begin", 1)
    reader = before.splitlines()[-1].split()[0]
    between = after.split("/weft-end", 1)[0].splitlines()[1:-1]
    if not any("openat2(" in line for line in between) or " = -1 EOPNOTSUPP" in "".join(between):
        return skipped("this file system or kernel has no reads of the page cache alone")
    if len(between) < 200 * 6:
        sys.exit(f"only {len(between)} system calls for 600 reads")
    others = [line for line in between if line.split()[0] != reader and "resumed" not in line]
    # The monitor looks after the workers now and then; it is no reader.
    at_work = [line for line in others if re.search(r"\b(p?read(v2|64)?|openat2?|fstat)\(", line)]
    told = [line for line in between if line.split()[0] == reader and THREADS.search(line)]
    if at_work or told:
        sys.exit("threads in cached reads:\n" + "\n".join((at_work + told)[:20]))
    print(f"ok: {len(between)} system calls of cached reads, none on another thread")
    return True


def full(folder):
    inside = f'mount -t tmpfs -o size=1m none "$1" && exec "$2" full "$1"'
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    probe = subprocess.run(
        unshare + ["sh", "-c", 'mount -t tmpfs -o size=1m none "$1"', "sh", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    if probe.returncode != 0:
        return skipped("no disk can be mounted here: full disk")
    program = subprocess.Popen(
        unshare + ["sh", "-c", inside, "sh", folder, PROGRAM], stdout=subprocess.PIPE, text=True
    )
    return check(program, "full disk")


def main():
    done = []
    for test in (interrupted, cached, full):
        folder = tempfile.mkdtemp(prefix="weft-test-")
        try:
            start = time.monotonic()
            done.append(test(folder))
            print(f"  {time.monotonic() - start:.1f} s")
        finally:
            shutil.rmtree(folder)
    sys.exit(0 if any(done) else 77)


main()
