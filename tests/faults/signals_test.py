#!/usr/bin/env python3
"""Signals during a load, and fault handlers of the program (F3, F4): signals_test.py PROGRAM SHIM."""

import os
import signal
import socket
import threading
import time
import unittest

from support import Server, main, run

SIGNALS = 10_000
CLIENTS = 16


class Client(threading.Thread):
    """Sends and checks until it is told to end, and then as an orderly client does."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.message = bytes([number]) * 900
        self.heard = threading.Event()
        self.over = threading.Event()
        self.rounds = 0
        self.failure = None

    def run(self):
        try:
            while not self.over.is_set():
                self.ask()
            self.socket.shutdown(socket.SHUT_WR)
            if self.socket.recv(1):
                self.failure = "bytes after the end"
        except Exception as error:
            self.failure = repr(error)
        finally:
            self.socket.close()

    def ask(self):
        self.socket.sendall(self.message)
        got = b""
        while len(got) < len(self.message):
            more = self.socket.recv(4096)
            if not more:
                raise EOFError(f"after {self.rounds} rounds")
            got += more
        if got != self.message:
            raise ValueError("corrupted")
        self.rounds += 1
        self.heard.set()


class Storm(unittest.TestCase):
    def test_ten_thousand_signals_disturb_nothing_and_the_drain_finishes(self):
        """A handler of the program's own, without SA_ONSTACK, so on the fibers' stacks, during an
        echo load. Then SIGTERM: connections that are open may finish, and the process ends with 0.
        32 KiB a stack: a signal's frame takes up to 12 KiB where the CPU has AVX-512 and AMX, and
        leaves too little of 16 KiB."""
        server = Server("signals", 32 * 1024)
        self.addCleanup(server.kill)
        clients = [Client(server.port, i) for i in range(CLIENTS)]
        for each in clients:
            each.start()
        for i in range(SIGNALS):
            os.kill(server.pid, signal.SIGRTMIN)  # of this kind each is delivered
            if i % 100 == 0:
                time.sleep(0.005)  # so that the load goes on between them
        for each in clients:
            self.assertTrue(each.heard.wait(30), each.failure)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.stdout.readline(), f"stopping {CLIENTS}\n")
        for each in clients:
            each.over.set()
        for each in clients:
            each.join(30)
            self.assertFalse(each.is_alive())
            self.assertIsNone(each.failure)
        outcome = server.stop()
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual((outcome.said["whole"], outcome.said["unfinished"]), (CLIENTS, 0), outcome)
        self.assertEqual(outcome.said["handled"], SIGNALS)


class Faults(unittest.TestCase):
    def test_a_null_write_reaches_the_handler_that_was_there_before(self):
        """With the original address and context, be it on a fiber, on a thread of the program or on
        one of blocking(); a handler without SA_SIGINFO is called as well."""
        for where in ("fiber", "thread", "worker"):
            for kind in ("siginfo", "plain"):
                with self.subTest(f"{where}, {kind}"):
                    outcome = run("null-write", where, kind)
                    self.assertEqual(outcome.code, 42, outcome)


main()
