#!/usr/bin/env python3
"""Descriptors, memory and guard pages that run out (R1, R2, R4): limits_test.py PROGRAM SHIM."""

import pathlib
import signal
import shutil
import socket
import time
import unittest

from support import Server, injected, main, run, why_no_strace

NO_STRACE = why_no_strace()
NO_PRLIMIT = "" if shutil.which("prlimit") else "there is no prlimit"


@unittest.skipIf(NO_PRLIMIT, NO_PRLIMIT)
class Descriptors(unittest.TestCase):
    def test_a_server_without_descriptors_waits_quietly_and_serves_again(self):
        """64 descriptors and 200 clients: no crash; under 20 % of a CPU while starved; and when they
        go away new ones are answered."""
        server = Server("server", 30_000, before=("prlimit", "--nofile=64"))
        self.addCleanup(server.kill)
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        for _ in range(300):
            if server.descriptors() > 55:
                break
            time.sleep(0.1)
        self.assertGreater(server.descriptors(), 55)
        before = server.cpu_seconds()
        time.sleep(2)
        self.assertLess(server.cpu_seconds() - before, 0.4, "it spins")
        for each in clients:
            each.close()
        outcome = run("client", server.port, 20, 3, 10_000)
        self.assertEqual((outcome.said["whole"], outcome.said["leaked"]), (20, 0), outcome)
        ended = server.stop()
        self.assertEqual((ended.code, ended.said["leaked"]), (0, 0), ended)


@unittest.skipIf(NO_PRLIMIT, NO_PRLIMIT)
class AddressSpace(unittest.TestCase):
    def test_fibers_beyond_it_fail_and_all_others_are_not_concerned(self):
        """Spawned until there is no stack: that fiber fails with not_enough_memory (or go() with
        bad_alloc), those before it end as they should, and then half as many run again."""
        for megabytes in (100, 300, 400, 600):
            with self.subTest(megabytes):
                outcome = run("spawn", before=("prlimit", f"--as={megabytes << 20}"))
                self.assertEqual(outcome.code, 0, outcome)
                said = outcome.said
                self.assertGreater(said["ran"], 100)
                self.assertGreater(said["refused"], 0)
                self.assertEqual(said["surprised"], 0, outcome)
                self.assertEqual((said["ran_again"], said["refused_again"]), (said["ran"] // 2, 0))


def low_map_count():
    return int(pathlib.Path("/proc/sys/vm/max_map_count").read_text()) <= 70_000


class Guards(unittest.TestCase):
    """Where MADV_GUARD_INSTALL is refused (before Linux 6.13, locked memory), mprotect() guards."""

    def ways(self):
        yield "locked memory", (), "locked"
        if not NO_STRACE:
            refuse = {"madvise": "error=EINVAL", "process_madvise": "error=ENOSYS"}
            yield "no such advice", injected(refuse), ""

    def test_an_overflow_is_still_reported(self):
        for why, before, word in self.ways():
            with self.subTest(why):
                outcome = run("overflow", word, before=before)
                if outcome.code == 77:
                    self.skipTest("may not lock memory")
                self.assertIn(outcome.code, (-signal.SIGSEGV, 128 + signal.SIGSEGV), outcome)
                self.assertRegex(outcome.errors, 'stack overflow in fiber [0-9]+ "bottomless"')

    @unittest.skipUnless(low_map_count(), "vm.max_map_count is high")
    def test_more_fibers_than_mappings_run_and_one_line_names_the_limit(self):
        """40,000 fibers at once want twice as many mappings as the system allows: they all run, or
        fail with an error; and a line on stderr names what to raise, once."""
        for why, before, word in self.ways():
            with self.subTest(why):
                outcome = run("stacks", 40_000, word, before=before)
                if outcome.code == 77:
                    self.skipTest("may not lock memory")
                self.assertEqual(outcome.code, 0, outcome)
                self.assertEqual(outcome.said["surprised"], 0, outcome)
                self.assertGreater(outcome.said["ran"], 32_000, outcome)
                self.assertEqual(outcome.errors.count("vm.max_map_count is reached"), 1, outcome)

    def test_the_advice_costs_no_mappings(self):
        """Where it is there: 40,000 fibers and not a word."""
        outcome = run("stacks", 40_000)
        if "vm.max_map_count" in outcome.errors:
            self.skipTest("this system has no MADV_GUARD_INSTALL")
        self.assertEqual(outcome.said, {"ran": 40_000, "refused": 0, "surprised": 0}, outcome)


main()
