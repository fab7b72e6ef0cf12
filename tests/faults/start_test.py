#!/usr/bin/env python3
"""Runtimes that cannot start for want of threads or descriptors (R3): start_test.py PROGRAM SHIM."""

import errno
import unittest

from support import Injected, main, run, why_no_strace

NO_STRACE = why_no_strace()


class Starting(unittest.TestCase):
    """It throws std::system_error with the cause, leaves no descriptor and no thread behind, and
    starts as usual the next time."""

    def test_with_ever_more_descriptors_until_there_are_enough(self):
        """RLIMIT_NOFILE from nothing left upwards: EMFILE each time, then it works."""
        outcome = run("start-nofile")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.said["last"], 0, outcome)
        self.assertEqual(outcome.said["leaked"], 0, outcome)
        self.assertGreater(outcome.said["refused"], 5)

    @unittest.skipIf(NO_STRACE, NO_STRACE)
    def test_when_one_call_fails(self):
        """The n-th call of each kind, in the first of two starts or in the second. The second pipe is
        left out: libuv's own, where it aborts; weft makes sure before that there is room for it."""
        calls = {
            "clone3": ("EAGAIN", [1, 2, 3]),  # the monitor and two of three workers
            "eventfd2": ("EMFILE", [1, 2, 3, 4]),
            "timerfd_create": ("EMFILE", [1, 2, 3]),
            "epoll_create1": ("ENOMEM", [1, 2, 3]),
            "pipe2": ("ENFILE", [1, 3]),
        }
        for call, (error, turns) in calls.items():
            for n in turns:
                with self.subTest(f"{call} {n}"):
                    ran = Injected({call: f"error={error}:when={n}"}, "start", 2, 3)
                    code = getattr(errno, error)
                    self.assertEqual(ran.times, 1)
                    self.assertEqual(ran.outcome.said, {"codes": f"{code} 0", "leaked": 0, "threads": 0},
                                     ran.outcome)

    @unittest.skipIf(NO_STRACE, NO_STRACE)
    def test_when_every_call_fails(self):
        for call, error in (("clone3", "EAGAIN"), ("timerfd_create", "ENOMEM"), ("eventfd2", "ENFILE")):
            with self.subTest(call):
                ran = Injected({call: f"error={error}"}, "start", 5, 3)
                codes = " ".join([str(getattr(errno, error))] * 5)
                self.assertEqual(ran.outcome.said, {"codes": codes, "leaked": 0, "threads": 0}, ran.outcome)


main()
