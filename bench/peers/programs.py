"""Builds the programs of the other libraries with what this machine has, in build/peers/<name>/."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "build", "peers")
CRATES = "/usr/share/cargo/registry"  # where Debian's packages of crates are


class LeftOut(Exception):
    """The reason why a program cannot be built here."""


def tool(name, *elsewhere):
    for path in (name, *elsewhere):
        if found := shutil.which(os.path.expanduser(path)):
            return found
    raise LeftOut(f"there is no {name}")


def call(command, folder, **environment):
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).splitlines() or ["no output"]
        raise LeftOut(next((line for line in lines if "error:" in line or "cannot find" in line), lines[0]).strip())


def go(sources, out):
    compiler = tool("go", "/usr/lib/go-1.19/bin/go")
    program = os.path.join(out, "go")
    call([compiler, "build", "-o", program, "."], sources, GOCACHE=os.path.join(out, "cache"), GOFLAGS="")
    return [program]


def crate(sources, out):
    cargo = tool("cargo", "~/.cargo/bin/cargo")
    if not os.path.isdir(CRATES):
        raise LeftOut(f"there are no crates in {CRATES}")
    work = os.path.join(out, "work")  # cargo writes beside its sources
    shutil.copytree(sources, work, dirs_exist_ok=True)
    call([cargo, "build", "--release", "--offline", "--quiet", "--target-dir", "target",
          "--config", 'source.crates-io.replace-with="debian"',
          "--config", f'source.debian.directory="{CRATES}"'],
         work, PATH=os.environ["PATH"] + os.pathsep + os.path.dirname(cargo))
    return [os.path.join(work, "target", "release", "peer")]


def newest(*folders):
    return max(os.path.getmtime(os.path.join(folder, file)) for folder in folders for file in os.listdir(folder))


def cpp(sources, out, *libraries):
    compiler = tool(os.environ.get("CXX", "c++"), "g++")
    program = os.path.join(out, "program")
    if not os.path.exists(program) or os.path.getmtime(program) < newest(sources, os.path.join(HERE, "common")):
        call([compiler, "-std=c++17", "-O3", "-DNDEBUG", "-pthread", "-o", program, "main.cpp", *libraries], sources)
    return [program]


def context(sources, out):
    return cpp(sources, out, "-lboost_context")


def libuv(sources, out):
    return cpp(sources, out, "-luv")


def load(sources, out):
    return cpp(sources, out)


def boost_fiber(sources, out):
    return cpp(sources, out, "-lboost_fiber", "-lboost_context")


def coroutine2(sources, out):
    return cpp(sources, out, "-lboost_context")


def python(sources, _):
    return [sys.executable, os.path.join(sources, "main.py")]


FLOORS = {"context": context, "libuv": libuv}  # not libraries of our kind, but what those stand on
BUILDERS = {**FLOORS, "go": go, "tokio": crate, "hyper": crate, "rayon": crate, "boost_fiber": boost_fiber,
            "coroutine2": coroutine2, "python": python}


def build(names):
    """The command of each program that could be built. Says which could not, and why."""
    commands = {}
    for name in names:
        out = os.path.join(OUT, name)
        os.makedirs(out, exist_ok=True)
        try:
            commands[name] = (load if name == "load" else BUILDERS[name])(os.path.join(HERE, name), os.path.abspath(out))
        except LeftOut as reason:
            print(f"without {name}: {reason}", file=sys.stderr)
    return commands
