#!/usr/bin/env python3
"""Every C++ block of README.md and docs/ compiles; whole programs also run, and print what is shown.

usage: snippets.py <source root> <library> <compiler...>

A block that has a main() is a program: it is linked and run, and if the block that follows it has no
language, its output must be that text. A block that includes headers is a file by itself, left out
where one of them is missing. Any other block is the body of a function inside a fiber, with the names
of PRELUDE at hand.
"""
import os
import re
import subprocess
import sys
import tempfile

PRELUDE = """\
#include <weft/weft.hpp>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <optional>
#include <queue>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
using namespace std::chrono_literals;
using namespace std::string_literals;
[[maybe_unused]] static std::vector<std::string> urls;
[[maybe_unused]] static int fd = -1;
std::string fetch(const std::string& url);
"""
FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Wno-unused"]


def blocks(path):
    """Pairs (line, language, text) of the fenced blocks of a Markdown file, in order."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def compile_bodies(bodies, compiler, include):
    source = PRELUDE
    for number, (path, line, text) in enumerate(bodies):
        source += f'void snippet_{number}() {{\n#line {line + 1} "{path}"\n{text}}}\n'
    return subprocess.run(
        compiler + FLAGS + ["-fsyntax-only", "-I", include, "-x", "c++", "-"], input=source, text=True
    ).returncode


def library_flags():
    """What the libraries that some documents are about need; nothing for those that are not there."""
    flags = []
    for name in ("libpq", "hiredis"):
        found = subprocess.run(["pkg-config", "--cflags", name], capture_output=True, text=True)
        flags += found.stdout.split()
    return flags


def compile_file(path, line, text, compiler, include):
    command = compiler + FLAGS + library_flags() + ["-fsyntax-only", "-I", include, "-x", "c++", "-"]
    for header in re.findall(r"^#include <(.*)>", text, re.M):
        probe = f"#if !__has_include(<{header}>)\n#error missing\n#endif\n"
        if subprocess.run(command, input=probe, capture_output=True, text=True).returncode:
            print(f"{path}:{line}: left out, there is no <{header}>")
            return 0
    return subprocess.run(command, input=f'#line {line + 1} "{path}"\n{text}', text=True).returncode


def run_program(path, line, text, expected, compiler, include, library, folder):
    source = os.path.join(folder, "program.cpp")
    program = os.path.join(folder, "program")
    with open(source, "w", encoding="utf-8") as file:
        file.write(f'#line {line + 1} "{path}"\n{text}')
    where = os.path.dirname(library)
    command = compiler + FLAGS + ["-I", include, source, "-o", program, library, "-pthread"]
    if subprocess.run(command + [f"-Wl,-rpath,{where}"]).returncode:
        return 1
    ran = subprocess.run([program], capture_output=True, text=True, timeout=50)
    if ran.returncode or (expected is not None and ran.stdout != expected):
        print(f"{path}:{line}: status {ran.returncode}\n--- printed\n{ran.stdout}{ran.stderr}"
              f"--- shown\n{expected}")
        return 1
    return 0


def main():
    root, library, compiler = sys.argv[1], sys.argv[2], sys.argv[3:]
    include = os.path.join(root, "include")
    documents = [os.path.join(root, "README.md")]
    for folder, _, names in os.walk(os.path.join(root, "docs")):
        documents += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".md")]
    bodies, failed, programs, files = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in documents:
            found = list(blocks(path)) + [(0, "end", "")]
            for (line, language, text), (_, next_language, next_text) in zip(found, found[1:]):
                if language != "cpp":
                    continue
                if re.search(r"\bint main\(", text):
                    programs += 1
                    expected = next_text if next_language == "" else None
                    failed += run_program(path, line, text, expected, compiler, include, library, folder)
                elif re.search(r"^#include <", text, re.M):
                    files += 1
                    failed += bool(compile_file(path, line, text, compiler, include))
                else:
                    bodies.append((path, line, text))
    failed += bool(compile_bodies(bodies, compiler, include))
    print(f"{programs} programs run, {files} files and {len(bodies)} snippets compiled, {failed} failures")
    return failed != 0 or programs + len(bodies) == 0


if __name__ == "__main__":
    sys.exit(main())
