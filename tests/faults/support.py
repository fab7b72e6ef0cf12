"""What the tests of faults share: running fault_program, with system calls that fail, and skipping."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv[1]
SHORTEN = sys.argv[2]
FULL = bool(os.environ.get("WEFT_FAULTS_FULL"))  # the whole sizes, for a run by hand

SECONDS = 600 if FULL else 100  # for one program: a hang is a failure


def parsed(text):
    """The "key value" lines; numbers as numbers."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found[key] = int(value) if value.lstrip("-").isdigit() else value.strip()
    return found


class Outcome:
    def __init__(self, code, output, errors):
        self.code = code
        self.errors = errors
        self.said = parsed(output)

    def __str__(self):
        return f"code {self.code}, said {self.said}, errors:\n{self.errors}"


def run(*words, before=(), env=None, seconds=SECONDS):
    """Runs the program, behind other commands if need be."""
    command = [*before, PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    return Outcome(done.returncode, done.stdout, done.stderr)


def shortened(*words, **variables):
    return run(*words, env={"LD_PRELOAD": SHORTEN, **{k: str(v) for k, v in variables.items()}})


def injected(faults, log=os.devnull):
    """strace that injects; faults: {"accept4,read": "error=EINTR:when=1+2"}. Other calls run freely."""
    command = ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", "signal=none",
               "-e", "trace=" + ",".join(faults)]
    for calls, fault in faults.items():
        command += ["-e", f"inject={calls}:{fault}"]
    return command


class Injected:
    """Runs the program so, and counts how often the fault was injected."""

    def __init__(self, faults, *words):
        with tempfile.NamedTemporaryFile("r") as log:
            self.outcome = run(*words, before=injected(faults, log.name))
            self.times = log.read().count("(INJECTED)")


def why_no_strace():
    if not shutil.which("strace"):
        return "there is no strace"
    done = subprocess.run(["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True)
    return "" if done.returncode == 0 else "strace may not trace here"


def why_no_network():
    """Own network with rules, as loss_test.py wants it."""
    for tool in ("unshare", "ip", "nft"):
        if not shutil.which(tool):
            return f"there is no {tool}"
    probe = ("ip link set lo up && nft add table inet probe && nft add chain inet probe in "
             "'{ type filter hook input priority 0; }' && "
             "nft add rule inet probe in numgen random mod 100 '<' 20 drop")
    done = subprocess.run(["unshare", "--net", "sh", "-c", probe], capture_output=True)
    return "" if done.returncode == 0 else "no network of one's own may be made here"


class Server:
    """A command that prints its port and runs until SIGTERM."""

    def __init__(self, *words, before=()):
        self.process = subprocess.Popen([*before, PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            self.kill()
            raise AssertionError(f"no port but {line!r}: {self.process.stderr.read()}")
        self.port = int(line.split()[1])

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=SECONDS)
        return Outcome(self.process.returncode, output, errors)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def main():
    del sys.argv[1:3]
    unittest.main()


def skip_all(why):
    """Ends as meson wants it where nothing can be tested."""
    if why:
        print("skipped:", why)
        sys.exit(77)
