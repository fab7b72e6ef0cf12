#!/usr/bin/env python3
"""Runs a sample and compares what it prints: output_test.py PROGRAM EXPECTED [ARGUMENTS].

The file has the output as it is, with {number} where any number may stand.
"""
import re
import subprocess
import sys

program, expected_path, *arguments = sys.argv[1:]
with open(expected_path) as file:
    expected = file.read()
run = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, timeout=60)
pattern = r"[0-9.,]*[0-9]".join(map(re.escape, expected.split("{number}")))
if run.returncode != 0:
    sys.exit(f"{program} ended with status {run.returncode}")
if not re.fullmatch(pattern, run.stdout):
    sys.exit(f"expected:\n{expected}\nbut got:\n{run.stdout}")
