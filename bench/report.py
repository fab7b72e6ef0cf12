#!/usr/bin/env python3
"""Puts what was measured into docs/performance.md, between the lines <!-- name --> and <!-- end of name -->.

  report.py             the table, of bench/results.json, which ./dev bench peers --json bench/results.json writes
  report.py --profiles  and what the programs of bench/profiles count, now (two minutes)
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
import table  # noqa: E402

DOCUMENT = os.path.join(HERE, "..", "docs", "performance.md")
PROFILES = {"instructions": ["instructions.py"], "system calls": ["calls.py"], "locked": ["locked.py", "--workers", "4"]}


def profile(command):
    done = subprocess.run([sys.executable, os.path.join(HERE, "profiles", command[0]), *command[1:]],
                          stdout=subprocess.PIPE, text=True, check=True)
    return f"```text\n{done.stdout}```"


def put(text, name, block):
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    new, times = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{block}\n{end}", text, flags=re.S)
    if times != 1:
        sys.exit(f"{DOCUMENT} needs the lines {begin} and {end}, once")
    return new


def main():
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    text = put(text, "table", table.render([os.path.join(HERE, "results.json")]))
    if "--profiles" in sys.argv[1:]:
        for name, command in PROFILES.items():
            text = put(text, name, profile(command))
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)


main()
