#!/usr/bin/env python3
"""Runs the PostgreSQL sample against a server of its own: postgres_test.py PROGRAM EXPECTED."""
import glob
import os
import shutil
import subprocess
import sys

from service import check_refused, compare_output, folder, free_port, service, skip, unprivileged

PROGRAM, EXPECTED = sys.argv[1:]


def tool(name):
    """Debian keeps the server's programs out of the PATH, one folder a version."""
    debian = glob.glob("/usr/lib/postgresql/*/bin/" + name)
    newest = max(debian, key=lambda path: float(path.split("/")[4]), default=shutil.which(name))
    return newest or skip(f"there is no {name}")


def main():
    initdb, postgres, pg_isready = map(tool, ("initdb", "postgres", "pg_isready"))
    with folder("postgres") as where:
        data = os.path.join(where, "data")
        subprocess.run([initdb, "-D", data, "-U", "weft", "-A", "trust", "-E", "UTF8", "--no-locale",
                        "--no-sync"], check=True, cwd=where, stdout=subprocess.DEVNULL, **unprivileged())

        def command(port):
            return [postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"]

        def is_ready(port):
            return subprocess.run([pg_isready, "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0

        def conninfo(port):
            return f"hostaddr=127.0.0.1 port={port} user=weft dbname=postgres"

        with service(command, where, is_ready) as port:
            compare_output(PROGRAM, EXPECTED, conninfo(port))
        check_refused(PROGRAM, conninfo(free_port()))


main()
