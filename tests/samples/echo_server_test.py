#!/usr/bin/env python3
"""Talks to the echo server: echo_server_test.py PROGRAM."""
import signal
import sys
import threading
import unittest

from support import Server, read_until_end

PROGRAM = sys.argv.pop(1)


class EchoServer(unittest.TestCase):
    def setUp(self):
        self.server = Server(PROGRAM, "0")
        self.addCleanup(self.server.kill)

    def assert_echoes(self, message):
        with self.server.connect() as client:
            sender = threading.Thread(target=lambda: (client.sendall(message), client.shutdown(1)))
            sender.start()
            self.assertEqual(read_until_end(client), message)
            sender.join()

    def test_sends_back_what_it_got_and_closes_after_the_client(self):
        self.assert_echoes(b"hello\n")

    def test_sends_back_more_than_any_buffer_holds(self):
        self.assert_echoes(bytes(range(256)) * 40_000)

    def test_clients_do_not_wait_for_each_other(self):
        with self.server.connect() as silent, self.server.connect() as first:
            first.sendall(b"1")
            self.assertEqual(first.recv(1), b"1")
            silent.sendall(b"2")
            self.assertEqual(silent.recv(1), b"2")

    def test_a_reset_ends_that_connection_alone(self):
        with self.server.connect() as rude:
            rude.setsockopt(1, 13, bytes([1, 0, 0, 0, 0, 0, 0, 0]))  # SO_LINGER of 0 s: RST
            rude.sendall(b"x" * 100_000)
        self.assert_echoes(b"still there")

    def test_either_signal_stops_it_while_clients_are_connected(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = Server(PROGRAM, "0")
            with server.connect() as client:
                client.sendall(b"x")
                client.recv(1)
                self.assertEqual(server.stop(number), (0, "Stopping.\n"))
            self.assertFalse(server.is_listening())


unittest.main()
