#!/usr/bin/env python3
"""I/O that is interrupted, short, refused or reset (I1, I2, I7): io_test.py PROGRAM SHIM."""

import unittest

from support import FULL, Injected, main, run, shortened, why_no_strace

NO_STRACE = why_no_strace()
TRANSPORTS = ("tcp", "pair", "pipe")
SIZE = 10_000_000


class Moves(unittest.TestCase):
    """Bytes go both ways at once and come back as they were sent, and no descriptor is left."""

    def assert_whole(self, outcome, size):
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.said, {"bytes": size, "equal": "yes", "leaked": 0})

    def test_every_call_moves_a_few_bytes(self):
        """Reads and writes of 1 to 7 bytes: nothing relies on a call that moves all it could."""
        size = SIZE if FULL else 30_000
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.assert_whole(shortened("echo", transport, size, WEFT_SHORTEN="both"), size)

    def test_one_direction_moves_a_few_bytes(self):
        """Short reads behind whole writes, and the other way round: buffers are full throughout."""
        for transport in TRANSPORTS:
            for what in ("read", "write"):
                with self.subTest(transport + " " + what):
                    self.assert_whole(shortened("echo", transport, 20_000, WEFT_SHORTEN=what), 20_000)

    def test_many_calls_move_a_few_bytes(self):
        """Whole and short calls take turns over 10 MB, so that pieces begin at odd places."""
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.assert_whole(
                    shortened("echo", transport, SIZE, WEFT_SHORTEN="both", WEFT_SHORTEN_EACH=3), SIZE)

    def test_every_second_call_is_interrupted_before_it_moves_anything(self):
        """EINTR is never seen by the program; an interrupted connect() goes on by itself."""
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.assert_whole(shortened("echo", transport, SIZE, WEFT_INTERRUPT=2), SIZE)

    def test_short_and_interrupted_calls_together(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                outcome = shortened("echo", transport, 20_000, WEFT_SHORTEN="both", WEFT_INTERRUPT=2)
                self.assert_whole(outcome, 20_000)

    @unittest.skipIf(NO_STRACE, NO_STRACE)
    def test_the_system_interrupts_every_second_call(self):
        """The same by the kernel's own door, below libc and libuv, waiting included."""
        faults = {
            "recvfrom,sendto,accept4,preadv2,pwritev2,epoll_pwait,epoll_wait,write": "error=EINTR:when=1+2",
            "read": "error=EINTR:when=40+2",  # those of the loader are let through
        }
        for transport in TRANSPORTS:
            with self.subTest(transport):
                ran = Injected(faults, "echo", transport, SIZE)
                self.assert_whole(ran.outcome, SIZE)
                self.assertGreater(ran.times, 100)


class Connecting(unittest.TestCase):
    @unittest.skipIf(NO_STRACE, NO_STRACE)
    def test_an_interrupted_connect_that_has_not_begun_is_made_again(self):
        """The other kind, that goes on by itself, is among the interrupted calls above."""
        ran = Injected({"connect": "error=EINTR:when=1+2"}, "accept", 10)
        self.assertEqual(ran.outcome.said, {"answered": 10}, ran.outcome)
        self.assertEqual(ran.times, 10)


class Accepting(unittest.TestCase):
    @unittest.skipIf(NO_STRACE, NO_STRACE)
    def test_a_listener_survives_what_accept_fails_with(self):
        """serve() goes on after three failures in a row, be they of the process, of the system or
        of the connection that was to be taken; every client is answered."""
        for error in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EINTR"):
            with self.subTest(error):
                ran = Injected({"accept4": f"error={error}:when=2..4"}, "accept", 10)
                self.assertEqual(ran.outcome.said, {"answered": 10}, ran.outcome)
                self.assertEqual(ran.times, 3)


class Resetting(unittest.TestCase):
    def test_a_peer_that_resets_during_a_write_is_an_error_and_no_signal(self):
        """connection_reset or broken_pipe, though SIGPIPE has its default again; then broken_pipe."""
        outcome = run("reset")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.said, {"write": "reset", "again": "broken_pipe"})


main()
