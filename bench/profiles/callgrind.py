"""Runs a program under callgrind and reads what it counted."""
import collections
import os
import re
import subprocess
import tempfile
import textwrap

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "release")
BENCH = os.path.join(BUILD, "bench", "weft_bench")
PROBE = os.path.join(BUILD, "tests", "bench", "budget_probe")
ARGUMENTS = re.compile(r"\(anonymous namespace\)::|weft::detail::|weft::|<.*>|\(.*\).*|'\d+$")


def short(function):
    """A name that fits a table: without arguments, and without the namespaces that all have."""
    previous = None
    while previous != function:
        previous, function = function, ARGUMENTS.sub("", function)
    return function.split("@@")[0].split(" ")[-1] or previous


def count(command, wanted=lambda binary, address: True):
    """{function: instructions}, of those that are wanted."""
    found = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no",
                        "--compress-strings=no", f"--callgrind-out-file={out}", *command],
                       capture_output=True, timeout=300, check=True)
        binary = function = ""
        of_callee = False
        with open(out, encoding="utf-8") as file:
            for line in file:
                if line.startswith("ob="):
                    binary = line[3:].strip()
                elif line.startswith("fn="):
                    function = line[3:].strip()
                    if function.startswith("0x"):  # a library without symbols
                        function = os.path.basename(binary)
                elif line.startswith("calls="):
                    of_callee = True  # the line that follows is the cost of what was called
                elif line.startswith("0x"):
                    address, _, instructions = line.split()[:3]
                    if not of_callee and wanted(binary, int(address, 16)):
                        found[short(function)] += int(instructions)
                    of_callee = False
    return found


def each(command, n, operations=1, wanted=lambda binary, address: True):
    """The same for each operation, from how much 2n take more than n. A word of the command is {n}."""
    less, more = (count([word.format(n=m) for word in command], wanted) for m in (n, 2 * n))
    return {function: (more[function] - less[function]) / (n * operations) for function in more}


def print_table(each_operation, least):
    """What costs at least so much, the dearest first."""
    shown = sorted(each_operation.items(), key=lambda pair: -pair[1])
    text = ", ".join(f"{function} {cost:.3g}" for function, cost in shown if cost >= least)
    print(textwrap.fill(text or "none", 110, initial_indent="  ", subsequent_indent="  ", break_long_words=False))
