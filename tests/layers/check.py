#!/usr/bin/env python3
"""Checks rules about the sources that a compiler does not.

Usage: check.py <source root> [<build root>]

(1) lib/<layer>/ includes "<layer>/x.hpp" of itself and of the layers below it, and nothing else.
(2) Only reactor and io name libuv; only context names Boost.
(3) thread_local stands in one file, behind its one accessor.
(4) Public headers include the standard library and public headers only; but asio.hpp, which is for
    programs that use Boost anyway and which weft.hpp leaves out, includes Boost.
(5) Files stay short.

With a build root it also checks that each layer's compiler sees what (1) allows, and no more.
"""

import os
import pathlib
import re
import sys

# Written out here once more: the build's own table must agree with it.
BELOW_REACTOR = {"base", "context", "fiber", "sched"}
REACHES = {
    "base": set(),
    "context": {"base"},
    "fiber": {"base", "context"},
    "sched": {"base", "context", "fiber"},
    "reactor": BELOW_REACTOR,
    "sync": BELOW_REACTOR,
    "task": BELOW_REACTOR | {"sync"},
    "io": BELOW_REACTOR | {"reactor", "sync", "task"},
    "runtime": BELOW_REACTOR | {"reactor", "sync", "task", "io"},
}

NAMES_UV = {"reactor", "io"}
NAMES_BOOST = {"context"}
HEADER_WITH_BOOST = "include/weft/asio.hpp"
THREAD_LOCAL_FILE = "lib/base/this_thread.cpp"

MAX_LINES_HEADER = 250  # include/weft/*.hpp
MAX_LINES_SOURCE = 400  # lib/

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)

# A comment, a raw string, a string or a character: what is not code.
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def blank(match):
    """Keeps the lines of a match and drops its text."""
    return "\n" * match.group(0).count("\n")


def without_comments(text):
    return NOT_CODE.sub(lambda m: blank(m) if m.group(0)[0] == "/" else m.group(0), text)


def code_only(text):
    return NOT_CODE.sub(blank, text)


class Checker:
    def __init__(self, root):
        self.root = root
        self.findings = []

    def say(self, path, text, offset, what):
        line = text.count("\n", 0, offset) + 1
        self.findings.append(f"{path.relative_to(self.root)}:{line}: {what}")

    def say_of_file(self, path, what):
        self.findings.append(f"{path.relative_to(self.root)}: {what}")

    def files(self, folder):
        for path in sorted((self.root / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp"):
                yield path, path.read_text(encoding="utf-8")

    def check_length(self, path, text, limit):
        lines = text.count("\n")
        if lines > limit:
            self.say_of_file(path, f"{lines} lines; at most {limit}")

    def check_word(self, path, text, pattern, what):
        for match in re.finditer(pattern, code_only(text)):
            self.say(path, code_only(text), match.start(), what)

    def check_thread_local(self, path, text):
        if str(path.relative_to(self.root)) != THREAD_LOCAL_FILE:
            self.check_word(path, text, r"\b(thread_local|__thread)\b",
                            f"thread_local belongs in {THREAD_LOCAL_FILE}")

    def check_source(self, path, text):
        layer = path.relative_to(self.root / "lib").parts[0]
        if layer not in REACHES:
            self.say_of_file(path, f"{layer} is not a layer")
            return
        allowed = REACHES[layer] | {layer}
        plain = without_comments(text)
        for match in INCLUDE.finditer(plain):
            system, own = match.groups()
            if own is not None:
                target = own.split("/")[0]
                if "/" not in own or target not in REACHES:
                    self.say(path, plain, match.start(),
                             f'"{own}": write "<layer>/name.hpp" or <weft/name.hpp>')
                elif target not in allowed:
                    self.say(path, plain, match.start(), f"{layer} may not include {own}")
            elif system.startswith("uv") and layer not in NAMES_UV:
                self.say(path, plain, match.start(), f"{layer} may not name libuv")
            elif system.startswith("boost/") and layer not in NAMES_BOOST:
                self.say(path, plain, match.start(), f"{layer} may not name Boost")
        if layer not in NAMES_BOOST:
            self.check_word(path, text, r"\bboost\s*::", f"{layer} may not name Boost")
        if layer not in NAMES_UV:
            self.check_word(path, text, r"\buv_\w+\s*\(", f"{layer} may not call libuv")
        self.check_thread_local(path, text)
        self.check_length(path, text, MAX_LINES_SOURCE)

    def check_header(self, path, text):
        plain = without_comments(text)
        with_boost = str(path.relative_to(self.root)) == HEADER_WITH_BOOST
        for match in INCLUDE.finditer(plain):
            system, own = match.groups()
            name = own or system
            if name == HEADER_WITH_BOOST[len("include/"):]:
                self.say(path, plain, match.start(), f"{name}: needs Boost, so no header includes it")
            elif with_boost and own is None and name.startswith("boost/"):
                pass
            elif own is not None or not (name.startswith("weft/") or re.fullmatch(r"[a-z_0-9]+", name)):
                self.say(path, plain, match.start(),
                         f"{name}: public headers include <weft/...> and the standard library only")
        self.check_thread_local(path, text)
        self.check_length(path, text, MAX_LINES_HEADER)

    def check_build(self, build):
        for layer, reaches in REACHES.items():
            folder = build / "lib" / "layers" / layer
            seen = set(os.listdir(folder))
            if seen != reaches | {layer}:
                self.findings.append(f"{folder}: sees {sorted(seen)}; see layer_reaches")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    checker = Checker(root)
    for path, text in checker.files("lib"):
        checker.check_source(path, text)
    for path, text in checker.files("include"):
        checker.check_header(path, text)
    if len(sys.argv) > 2:
        checker.check_build(pathlib.Path(sys.argv[2]))
    for finding in checker.findings:
        print(finding)
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
