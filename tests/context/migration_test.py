#!/usr/bin/env python3
"""Checks that no compiler holds on to the thread before a switch. Usage: migration_test.py <root>

Builds migration_program.cpp, with the accessor and the switch, by each compiler found and in each way
a user may build, and runs it. lib/base/this_thread.cpp tells how the mistake is kept off.
"""

import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile

OPTIONS = [
    "-O0",
    "-O2",
    "-O2 -fPIC",
    "-O3 -flto",
    "-O3 -flto -fPIC",
    "-O1 -finstrument-functions",  # as tracers have it
    "-O2 shared",  # the library's part in a shared library, as it is installed
]
LIBRARY = ["lib/base/this_thread.cpp", "lib/context/switch.cpp"]
PROGRAM = "tests/context/migration_program.cpp"


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def links(compiler, flags, folder):
    """Whether it can at all: some installations lack what -flto needs."""
    probe = folder / "probe"
    return run([compiler, *flags, "-x", "c++", "-", "-o", probe], input="int main() {}").returncode == 0


def build(compiler, options, root, folder):
    """The program, or None where this compiler cannot build so."""
    flags = ["-std=c++17", "-pthread", "-I", root / "include", "-I", root / "lib"] + [
        each for each in options.split() if each != "shared"
    ]
    if "-flto" in flags and not links(compiler, flags, folder):
        return None
    sources = [root / each for each in LIBRARY] + [root / PROGRAM]
    program = folder / "program"
    if "shared" in options:
        library = folder / "libpart.so"
        run([compiler, *flags, "-fPIC", "-shared", "-Dmain=program_in_library", *sources,
             "-o", library, "-lboost_context"]).check_returncode()
        caller = folder / "main.cpp"
        caller.write_text("int program_in_library();\nint main() { return program_in_library(); }\n")
        sources = [caller, library, f"-Wl,-rpath,{folder}"]
        flags += ["-fPIE"]
    built = run([compiler, *flags, *sources, "-o", program, "-lboost_context"])
    if built.returncode != 0:
        raise RuntimeError(built.stdout)
    return program


def check(compiler, options, root):
    """Returns the outcome and one line to print."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{compiler} {options}"
        try:
            program = build(compiler, options, root, pathlib.Path(folder))
            if program is None:
                return "skipped", f"{name}: cannot link"
            ran = run([program], timeout=60)
        except (RuntimeError, subprocess.SubprocessError) as error:
            return "failed", f"{name}: {error}"
        return ("ok" if ran.returncode == 0 else "failed"), f"{name}: {ran.stdout.strip()}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    compilers = [each for each in ("g++", "clang++") if shutil.which(each)]
    if not compilers:
        print("no compiler under its usual name")
        return 77
    jobs = [(compiler, options) for compiler in compilers for options in OPTIONS]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda job: check(*job, root), jobs))
    for outcome, line in results:
        print(f"{outcome}: {line}")
    if all("plain thread_local 0" in line for outcome, line in results if outcome == "ok"):
        print("a plain thread_local was never wrong: the program shows nothing any more")
        return 1
    return 1 if any(outcome == "failed" for outcome, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
