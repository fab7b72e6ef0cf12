#!/usr/bin/env python3
"""Talks in the chat room: tcp_chat_test.py PROGRAM."""
import contextlib
import signal
import sys
import unittest

from support import Server

PROGRAM = sys.argv.pop(1)


class Chat(unittest.TestCase):
    def setUp(self):
        self.server = Server(PROGRAM, "0")
        self.addCleanup(self.server.kill)
        self.clients = contextlib.ExitStack()
        self.addCleanup(self.clients.close)

    def enter(self, name):
        client = self.clients.enter_context(self.server.connect())
        lines = client.makefile("rb")
        self.addCleanup(lines.close)
        self.assertEqual(lines.readline(), b"What is your name?\n")
        client.sendall(name + b"\n")
        return client, lines

    def test_others_read_what_one_says(self):
        ann, to_ann = self.enter(b"ann")
        bob, to_bob = self.enter(b"bob")
        self.assertEqual(to_ann.readline(), b"bob: (enters)\n")
        ann.sendall(b"hello\r\nhow are you?\n")
        self.assertEqual(to_bob.readline(), b"ann: hello\n")
        self.assertEqual(to_bob.readline(), b"ann: how are you?\n")
        bob.sendall(b"fine\n")
        self.assertEqual(to_ann.readline(), b"bob: fine\n")
        bob.shutdown(1)
        self.assertEqual(to_ann.readline(), b"bob: (leaves)\n")
        self.assertEqual(to_bob.read(), b"")

    def test_a_name_is_given_once(self):
        self.enter(b"ann")
        _, to_other = self.enter(b"ann")
        self.assertEqual(to_other.read(), b"That name is taken.\n")

    def test_an_endless_line_ends_the_connection_alone(self):
        rude, to_rude = self.enter(b"rude")
        rude.sendall(b"x" * 5000)
        with contextlib.suppress(ConnectionResetError):  # it had not read all of it
            self.assertEqual(to_rude.read(), b"")
        self.enter(b"polite")

    def test_a_client_that_does_not_read_delays_nobody(self):
        self.enter(b"deaf")
        ann, to_ann = self.enter(b"ann")
        bob, to_bob = self.enter(b"bob")
        self.assertEqual(to_ann.readline(), b"bob: (enters)\n")
        line = b"x" * 4000
        for _ in range(5_000):
            ann.sendall(line + b"\n")
            self.assertEqual(to_bob.readline(), b"ann: " + line + b"\n")

    def test_a_signal_ends_it_while_clients_are_connected(self):
        self.enter(b"ann")
        self.assertEqual(self.server.stop(signal.SIGTERM), (0, ""))


unittest.main()
