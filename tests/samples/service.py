"""Runs the server that a sample is a client of: in a folder of its own, on a free port of loopback."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds: far more than anything here needs
HERE = os.path.dirname(os.path.abspath(__file__))


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def unprivileged():
    """Arguments of subprocess that give up root, as which some servers refuse to run."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def folder(name):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that what follows runs
    path = tempfile.mkdtemp(prefix=f"weft-{name}-")
    try:
        if os.getuid() == 0:
            shutil.chown(path, "nobody", "nogroup")
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def service(command, where, is_ready):
    """Starts command(port) in the folder, gives its port once it is ready, and stops it at the end."""
    log = os.path.join(where, "log")
    for _ in range(5):  # somebody else may take the port first
        port = free_port()
        with open(log, "wb") as output:
            process = subprocess.Popen(command(port), cwd=where, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, **unprivileged())
        try:
            until = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < until:
                if is_ready(port):
                    yield port
                    return
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGINT)  # for postgres: without waiting for its clients
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    with open(log, errors="replace") as text:
        sys.exit(f"{command(0)[0]} does not start:\n{text.read()}")


def compare_output(program, expected, *arguments):
    subprocess.run([os.path.join(HERE, "output_test.py"), program, expected, *arguments], check=True,
                   timeout=PATIENCE)


def check_refused(program, *arguments):
    """With nobody to talk to, it says so and fails."""
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    if run.returncode == 0 or "connection refused" not in run.stderr.lower():
        sys.exit(f"without a server: status {run.returncode}, {run.stdout}{run.stderr}")
