"""Runs programs of the comparison. A server gets load on it, and is measured from outside.

With one worker the server has CPU 0 for itself and the load CPU 1; with more, nothing is pinned. CPU time is
the kernel's, of all the server's threads: /proc/<pid>/task/*/schedstat, in nanoseconds.
"""
import datetime
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time

UNSUPPORTED_STATUS = 2


def failure(status, text):
    return "unsupported" if status == UNSUPPORTED_STATUS else f"status {status}: {text.strip()[-300:]}"


def host():
    """Of which machine the figures are."""
    def first(command):
        try:
            lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        except OSError:
            return ""
        return lines[0] if lines else ""

    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"date": datetime.date.today().isoformat(), "cpu": models[0] if models else platform.machine(),
            "cpus": os.cpu_count(), "kernel": platform.release(), "compiler": first(["c++", "--version"]),
            "libuv": first(["pkg-config", "--modversion", "libuv"])}


def output_of(command, timeout, used=None):
    """The words of each line that it printed, or what went wrong. Tells CPU seconds and peak MiB in `used`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=err)
        except OSError as error:
            return str(error)
        late = threading.Timer(timeout, process.kill)
        late.start()
        _, status, usage = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            return failure(process.returncode, err.read())
        if used is not None:
            used.update(cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024)
        return [line.split() for line in out]


def on_cpu(cpu, command, pin):
    return ["taskset", "-c", str(cpu), *command] if pin else command


def cpu_seconds(pid):
    """Of all threads that live, and the share of it in user space."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        user, system = map(int, file.read().rsplit(")", 1)[1].split()[11:13])
    return total / 1e9, user / os.sysconf("SC_CLK_TCK"), system / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until_it_listens(server, port):
    for _ in range(250):
        if server.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(0.1)  # until it has seen that end
            return True
        except OSError:
            time.sleep(0.02)
    return False


def loaded_by_wrk(command, timeout):
    """What wrk says: requests, and latencies in microseconds."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode or "Socket errors" in done.stdout or "Non-2xx" in done.stdout:
        return f"wrk: {done.stderr or done.stdout}"
    scale = {"us": 1, "ms": 1e3, "s": 1e6}
    found = {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[1:3] == ["requests", "in"]:
            found["requests"] = float(words[0])
        elif words[:1] == ["Requests/sec:"]:
            found["rps"] = float(words[1])
        elif words[:1] in (["50%"], ["99%"]):
            value = words[1].rstrip("ums")
            found[f"p{words[0][:2]}"] = float(value) * scale[words[1][len(value):]]
    return found


def loaded_by_ours(command, timeout):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        return f"load: {done.stderr}"
    return {words[1]: float(words[2]) for words in map(str.split, done.stdout.splitlines())}


def serve(command, load, seconds, workers):
    """{(metric, unit): value}, or what went wrong."""
    keys = dict(word.split("=", 1) for word in command if "=" in word)
    port, connections = free_port(), keys["conns"]
    http = "http" in command
    if http and not shutil.which("wrk"):
        return "there is no wrk"
    if http:
        loader = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"]
    elif "load" in load:
        loader = [*load["load"], f"port={port}", f"conns={connections}", f"secs={seconds}"]
    else:
        return "the load generator could not be built"
    pin = workers == 1 and len(os.sched_getaffinity(0)) > 1
    with tempfile.TemporaryFile("w+") as errors:
        server = subprocess.Popen(on_cpu(0, [*command, f"port={port}"], pin),
                                  stdout=subprocess.DEVNULL, stderr=errors)
        try:
            if not wait_until_it_listens(server, port):
                errors.seek(0)
                return failure(server.poll(), errors.read())
            before = cpu_seconds(server.pid)
            found = (loaded_by_wrk if http else loaded_by_ours)(on_cpu(1, loader, pin), seconds + 30)
            if isinstance(found, str):
                return found
            if server.poll() is not None:
                errors.seek(0)
                return failure(server.returncode, errors.read())
            total, user, system = (b - a for a, b in zip(before, cpu_seconds(server.pid)))
            cpu = total * 1e6 / found["requests"]
            in_user = cpu * user / (user + system) if user + system else 0
            return {("cpu_us_per_request", "us"): cpu, ("user_us_per_request", "us"): in_user,
                    ("rps", "1/s"): found["rps"], ("p50", "us"): found["p50"], ("p99", "us"): found["p99"],
                    ("peak", "MiB"): peak_mib(server.pid)}
        except subprocess.TimeoutExpired as error:
            return str(error)
        finally:
            server.kill()
            server.wait()
