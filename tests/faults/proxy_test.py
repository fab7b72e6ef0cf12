#!/usr/bin/env python3
"""Peers behind a proxy that delays, slices, corrupts, stops reading and resets.

proxy_test.py PROGRAM SHIM. Server and client hold conversations of frames with a checksum, under
deadlines. What is delayed or sliced arrives whole; what is corrupted is noticed; what is cut ends
with an error; what stands still ends by the deadline. Nothing hangs, nothing is left open.
"""

import ctypes
import random
import socket
import struct
import threading
import time
import unittest

from support import Server, main, run

CLIENTS = 20
FRAMES = 10


class Proxy:
    """One thread for each direction of a connection; `fault` decides what becomes of the bytes."""

    def __init__(self, target, fault):
        self.target = target
        self.fault = fault
        self.open = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        number = 0
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            with self.lock:
                self.open += [client, server]
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                seed = random.Random(number)
                number += 1
                threading.Thread(target=self.pump, args=(source, sink, seed), daemon=True).start()

    def pump(self, source, sink, seed):
        try:
            while data := source.recv(16_384):
                self.fault(source, sink, data, seed)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, sink):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for each in self.open:
                each.close()


def passing(_, sink, data, seed):
    sink.sendall(data)


def delaying(_, sink, data, seed):
    time.sleep(seed.random() * 0.02)
    sink.sendall(data)


def slicing(_, sink, data, seed):
    while data:
        n = seed.randint(1, 7) if seed.random() < 0.5 else seed.randint(1, 3000)
        sink.sendall(data[:n])
        data = data[n:]


def corrupting(_, sink, data, seed):
    broken = bytearray(data)
    broken[seed.randrange(len(broken))] ^= 1 << seed.randrange(8)
    sink.sendall(broken)


def stopping(source, sink, data, seed):
    if seed.random() < 0.3:
        threading.Event().wait(2)  # longer than the deadlines
        raise OSError
    sink.sendall(data)


def reset(connection):
    """Also under a thread that reads: to connect to AF_UNSPEC sends the RST."""
    ctypes.CDLL(None).connect(connection.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)


def resetting(source, sink, data, seed):
    if seed.random() < 0.3:
        reset(source)
        reset(sink)
        raise OSError
    sink.sendall(data)


def cutting(source, sink, data, seed):
    """The half of a frame, and then an orderly end."""
    if seed.random() < 0.3:
        sink.sendall(data[: len(data) // 2])
        raise OSError
    sink.sendall(data)


class Proxied(unittest.TestCase):
    def talk(self, fault, deadline_ms):
        """What the client and the server saw; both must have ended well, with nothing left."""
        server = Server("server", deadline_ms)
        self.addCleanup(server.kill)
        proxy = Proxy(server.port, fault)
        begin = time.monotonic()
        client = run("client", proxy.port, CLIENTS, FRAMES, deadline_ms)
        took = time.monotonic() - begin
        proxy.close()
        ended = server.stop()
        for outcome in (client, ended):
            self.assertEqual((outcome.code, outcome.said["leaked"]), (0, 0), outcome)
            self.assertEqual(outcome.said["wrong"], 0, outcome)
        said = client.said
        self.assertEqual(sum(said[how] for how in ("whole", "corrupt", "late", "failed")), CLIENTS)
        self.assertLess(took, deadline_ms / 1000 + 5, "a deadline was missed")
        return said, ended.said

    def test_what_is_only_slow_arrives_whole(self):
        for fault in (passing, delaying, slicing):
            with self.subTest(fault.__name__):
                client, server = self.talk(fault, 30_000)
                self.assertEqual((client["whole"], server["whole"]), (CLIENTS, CLIENTS))
                self.assertEqual((client["frames"], server["frames"]), (CLIENTS * FRAMES,) * 2)

    def test_what_is_corrupted_is_never_taken_for_whole(self):
        client, server = self.talk(corrupting, 1000)
        self.assertEqual(client["whole"], 0)
        self.assertGreater(client["corrupt"] + server["corrupt"], 0)

    def test_a_peer_that_stands_still_costs_its_deadline(self):
        client, server = self.talk(stopping, 1000)
        self.assertGreater(client["late"], 0)
        self.assertEqual(client["corrupt"] + server["corrupt"], 0)

    def test_a_reset_is_an_error_of_its_conversation(self):
        client, server = self.talk(resetting, 20_000)
        self.assertGreater(client["failed"], 0)
        self.assertEqual(client["corrupt"] + server["corrupt"] + client["late"], 0)

    def test_an_end_in_the_middle_is_an_error(self):
        client, server = self.talk(cutting, 20_000)
        self.assertGreater(client["failed"], 0)
        self.assertEqual(client["corrupt"] + server["corrupt"], 0)


main()
