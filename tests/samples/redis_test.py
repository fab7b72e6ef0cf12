#!/usr/bin/env python3
"""Runs the Redis sample against a server of its own: redis_test.py PROGRAM EXPECTED."""
import os
import shutil
import socket
import sys

from service import check_refused, compare_output, folder, free_port, service, skip

PROGRAM, EXPECTED = sys.argv[1:]


def is_ready(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(100) == b"+PONG\r\n"
    except OSError:
        return False


def main():
    # redis-check-rdb is the same program, which goes by its name; it comes without a system service.
    server = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if server is None:
        skip("there is no redis-server")
    with folder("redis") as where:
        program = os.path.join(where, "redis-server")
        os.symlink(os.path.realpath(server), program)

        def command(port):
            return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

        with service(command, where, is_ready) as port:
            compare_output(PROGRAM, EXPECTED, "127.0.0.1", str(port))
        check_refused(PROGRAM, "127.0.0.1", str(free_port()))


main()
