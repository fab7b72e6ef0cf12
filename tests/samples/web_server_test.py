#!/usr/bin/env python3
"""Talks HTTP to the web server: web_server_test.py PROGRAM."""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import Server, read_until_end
from web_support import Answer, RefusesBadRequests, WebCase, closes, request

PROGRAM = sys.argv.pop(1)
FILE = bytes(range(256)) * 1000


class WebServer(WebCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(FILE)
        cls.file = file.name
        cls.server = Server(PROGRAM, "--port", "0", "--file", cls.file, "--timeout", "1")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        if os.path.exists(cls.file):
            os.unlink(cls.file)


class Pages(WebServer):
    def test_hello_takes_a_second(self):
        begin = time.monotonic()
        answer = self.ask(request("/hello"))
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assertEqual((answer.status, answer.body), (200, b"Hello, World!"))
        self.assertEqual(answer.headers["content-length"], "13")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))

    def test_fifty_at_once_do_not_take_fifty_seconds(self):
        begin = time.monotonic()
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(self.ask(request("/hello")).body))
                   for _ in range(50)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(answers, [b"Hello, World!"] * 50)
        self.assertLess(time.monotonic() - begin, 10)

    def test_home_names_the_pages(self):
        answer = self.ask(request("/"))
        self.assertEqual(answer.status, 200)
        self.assertIn(b"/hello", answer.body)

    def test_file_is_sent_whole(self):
        answer = self.ask(request("/file"))
        self.assertEqual((answer.status, answer.body), (200, FILE))

    def test_missing_file_is_not_found(self):
        os.rename(self.file, self.file + ".away")
        try:
            self.assertEqual(self.ask(request("/file")).status, 404)
        finally:
            os.rename(self.file + ".away", self.file)

    def test_head_has_the_headers_of_get_and_no_body(self):
        with self.server.connect() as client:
            client.sendall(request("/", "HEAD"))
            head = Answer(client, to_head=True)
            client.sendall(request("/"))
            get = Answer(client)
        self.assertEqual(head.status, 200)
        self.assertEqual(head.headers["content-length"], get.headers["content-length"])
        self.assertEqual(len(get.body), int(get.headers["content-length"]))

    def test_query_and_absolute_form_name_the_same_page(self):
        for target in ("/?a=b", "http://here/", "http://here", "http://here/?a=/b"):
            self.assertEqual(self.ask(request(target)).status, 200, target)

    def test_unknown_page_is_not_found(self):
        for target in ("/nothing", "/hello/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd"):
            self.assertEqual(self.ask(request(target)).status, 404, target)


class Connections(WebServer):
    def test_stays_open_for_the_next_request(self):
        with self.server.connect() as client:
            for _ in range(3):
                client.sendall(request("/"))
                self.assertEqual(Answer(client).status, 200)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.server.connect() as client:
            client.sendall(request("/hello") + request("/nothing") + request("/"))
            self.assertEqual([Answer(client).status for _ in range(3)], [200, 404, 200])

    def test_closes_when_asked_to(self):
        with self.server.connect() as client:
            client.sendall(request("/", headers="Connection: close\r\n"))
            self.assertEqual(Answer(client).headers["connection"], "close")
            self.assertTrue(closes(client))

    def test_http_1_0_closes_unless_asked_not_to(self):
        with self.server.connect() as client:
            client.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(Answer(client).headers["connection"].lower(), "keep-alive")
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertEqual(Answer(client).status, 200)
            self.assertTrue(closes(client))

    def test_request_may_come_byte_by_byte(self):
        with self.server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request("/"):
                client.sendall(bytes([byte]))
            self.assertEqual(Answer(client).status, 200)

    def test_half_closed_client_gets_its_answer(self):
        with self.server.connect() as client:
            client.sendall(request("/"))
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(Answer(client).status, 200)
            self.assertTrue(closes(client))

    def test_body_is_not_taken_for_the_next_request(self):
        body = request("/")
        for headers, sent in ((f"Content-Length: {len(body)}\r\n", body),
                              ("Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))):
            with self.server.connect() as client:
                client.sendall(request("/", "POST", headers, sent) + request("/nothing"))
                self.assertEqual([Answer(client).status for _ in range(2)], [405, 404], headers)

    def test_continue_is_said_before_a_body_that_waits_for_it(self):
        with self.server.connect() as client:
            client.sendall(request("/", "POST", "Expect: 100-continue\r\nContent-Length: 2\r\n"))
            self.assertEqual(Answer(client).status, 100)
            client.sendall(b"ab")
            self.assertEqual(Answer(client).status, 405)

    def test_client_that_goes_away_harms_no_other(self):
        for data in (b"", b"GET /he", request("/hello"), request("/", "POST", "Content-Length: 9\r\n", b"abc")):
            for linger in (False, True):
                with self.server.connect() as client:
                    if linger:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sendall(data)
        self.assertEqual(self.ask(request("/")).status, 200)

    def test_slow_header_times_out(self):
        with self.server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            begin = time.monotonic()
            answer = Answer(client)
            self.assertEqual(answer.status, 408)
            self.assertTrue(closes(client))
            self.assertLess(time.monotonic() - begin, 5)

    def test_slow_header_times_out_however_steadily_it_drips(self):
        with self.server.connect() as client:
            client.settimeout(0.2)
            begin = time.monotonic()
            for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100:
                client.sendall(bytes([byte]))
                try:
                    self.assertEqual(client.recv(12), b"HTTP/1.1 408")
                    break
                except socket.timeout:
                    pass
            self.assertLess(time.monotonic() - begin, 5)

    def test_connection_between_requests_is_not_slow(self):
        with self.server.connect() as client:
            time.sleep(1.5)
            client.sendall(request("/"))
            self.assertEqual(Answer(client).status, 200)


class BadRequests(WebServer, RefusesBadRequests):
    def test_method_that_a_page_does_not_take(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer = self.ask(request("/hello", method, "Content-Length: 0\r\n"))
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"), method)


class Stopping(unittest.TestCase):
    def test_request_that_has_begun_is_answered(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = Server(PROGRAM, "--port", "0", "--workers", "1")
            with server.connect() as idle, server.connect() as busy:
                idle.sendall(request("/"))
                self.assertEqual(Answer(idle).status, 200)
                busy.sendall(request("/") + request("/hello"))
                self.assertEqual(Answer(busy).status, 200)
                server.send_signal(number)
                self.assertEqual(read_until_end(idle), b"")
                self.assertEqual(Answer(busy).body, b"Hello, World!")
                self.assertEqual(server.wait(), (0, "Stopping.\n"))
            self.assertFalse(server.is_listening())

    def test_port_in_use_is_an_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            run = subprocess.run([PROGRAM, "--port", str(taken.getsockname()[1])], capture_output=True,
                                 text=True, timeout=20)
        self.assertEqual(run.returncode, 1)
        self.assertIn("address already in use", run.stderr.lower())

    def test_wrong_arguments_are_explained(self):
        for arguments in (["--port"], ["--port", "x"], ["--port", "65536"], ["--nonsense", "1"]):
            run = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
            self.assertEqual((run.returncode, run.stderr[:6]), (2, "usage:"), arguments)


unittest.main()
