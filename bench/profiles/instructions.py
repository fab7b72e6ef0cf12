#!/usr/bin/env python3
"""Where the instructions of an operation go, by function: the operations that have budgets, with one worker.

  instructions.py [operation...]
"""
import sys

import callgrind

OPERATIONS = {"yield": 40000, "spawn_join": 20000, "pingpong": 20000, "timeout": 20000, "echo": 5000}

for name in sys.argv[1:] or OPERATIONS:
    found = callgrind.each([callgrind.PROBE, name, "{n}"], OPERATIONS[name])
    total = sum(found.values())
    print(f"{name}: {total:.0f} for each")
    callgrind.print_table(found, total / 50)
