#!/usr/bin/env python3
"""A network that drops every fifth packet (I6): loss_test.py PROGRAM SHIM."""

import unittest

from support import FULL, main, run, skip_all, why_no_network

# In a network namespace of its own, which goes with the process. The times after which a packet is
# sent again, 200 ms to 2 minutes, are made for the internet and would be all that is seen here.
LOSSY = """
ip link set lo up mtu 4000 &&
{ echo 1000 >/proc/sys/net/ipv4/tcp_rto_max_ms; } 2>/dev/null;
ip route change local 127.0.0.1 dev lo src 127.0.0.1 table local rto_min 5ms &&
nft add table inet lossy &&
nft add chain inet lossy in '{ type filter hook input priority 0; }' &&
nft add rule inet lossy in numgen random mod 100 '<' 20 drop &&
exec "$@"
"""


class Loss(unittest.TestCase):
    def test_everything_arrives_whole(self):
        """Both ways at once, with retransmissions, so with pieces of odd sizes at odd times."""
        size = 20_000_000 if FULL else 2_000_000
        outcome = run("echo", "tcp", size, before=("unshare", "--net", "sh", "-c", LOSSY, "sh"))
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.said, {"bytes": size, "equal": "yes", "leaked": 0})


skip_all(why_no_network())
main()
