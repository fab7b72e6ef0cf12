#!/usr/bin/env python3
"""Fetches files from the server of static files: static_files_test.py PROGRAM."""
import email.utils
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from support import Server
from web_support import Answer, RefusesBadRequests, WebCase, closes, request

PROGRAM = sys.argv.pop(1)
TEXT = b"0123456789"
BIG = bytes(range(256)) * 4000
SECRET = b"nobody may read this"
MODIFIED = 1_000_000_000


class StaticFiles(WebCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory()
        outside = cls.work.name
        root = cls.root = os.path.join(outside, "root")
        os.makedirs(os.path.join(root, "folder", "empty"))
        for name, content in (("../secret", SECRET), ("text.txt", TEXT), ("big.bin", BIG), ("nothing.css", b""),
                              ("index.html", b"home"), ("folder/index.html", b"inner"),
                              ("a b+c%.txt", b"odd"), ("%2e%2e", b"not a parent"), ("private", SECRET)):
            path = os.path.join(root, name)
            with open(path, "wb") as file:
                file.write(content)
            os.utime(path, (MODIFIED, MODIFIED))
        os.mkfifo(os.path.join(root, "pipe"))
        for name, target in (("out", "../secret"), ("far", os.path.join(outside, "secret")), ("up", ".."),
                             ("root", "/"), ("self", "/proc/self/root"), ("in", "text.txt"), ("loop", "loop"),
                             ("around", "folder/../text.txt")):
            os.symlink(target, os.path.join(root, name))
        cls.server = Server(PROGRAM, root, "0", "1")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.work.cleanup()

    def get(self, path, headers="", method="GET"):
        with self.server.connect() as client:
            client.sendall(request(path, method, headers))
            return Answer(client, to_head=method == "HEAD" or "If-Modified-Since" in headers)


class Files(StaticFiles):
    def test_file_is_sent_whole_with_its_type(self):
        for path, body, kind in (("/text.txt", TEXT, "text/plain; charset=utf-8"), ("/nothing.css", b"", "text/css; charset=utf-8"),
                                 ("/big.bin", BIG, "application/octet-stream"), ("/", b"home", "text/html; charset=utf-8"),
                                 ("/folder/", b"inner", "text/html; charset=utf-8"), ("/text.txt?x=/../y", TEXT, None),
                                 ("http://here/text.txt", TEXT, None), ("/a%20b+c%25.txt", b"odd", None),
                                 ("/%74ext%2Etxt", TEXT, None), ("/in", TEXT, None), ("/around", TEXT, None)):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.body), (200, body), path)
            self.assertEqual(answer.headers["content-length"], str(len(body)))
            if kind:
                self.assertEqual(answer.headers["content-type"], kind)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")

    def test_head_has_the_headers_of_get_and_no_body(self):
        with self.server.connect() as client:
            client.sendall(request("/big.bin", "HEAD", "Range: bytes=0-1\r\n") + request("/big.bin"))
            head = Answer(client, to_head=True)
            get = Answer(client)
        self.assertEqual((head.status, get.status, get.body), (200, 200, BIG))
        for name in ("content-length", "content-type", "last-modified", "accept-ranges"):
            self.assertEqual(head.headers[name], get.headers[name])

    def test_folder_without_slash_is_elsewhere(self):
        for target in ("/folder", "http://here/folder"):
            answer = self.get(target)
            self.assertEqual((answer.status, answer.headers["location"]), (301, "/folder/"))

    def test_what_is_no_file_is_not_found(self):
        for path in ("/missing", "/folder/empty/", "/text.txt/", "/text.txt/x", "/pipe", "/loop", "/" + "x" * 300,
                     "/Text.txt", "/text.txt%20"):
            self.assertEqual(self.get(path).status, 404, path)

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_file_that_may_not_be_read_is_forbidden(self):
        os.chmod(os.path.join(self.root, "private"), 0)
        self.assertEqual(self.get("/private").status, 403)

    def test_only_get_and_head(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
            answer = self.get("/text.txt", "Content-Length: 0\r\n", method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"), method)

    def test_connection_serves_many_requests(self):
        with self.server.connect() as client:
            for path, status in (("/text.txt", 200), ("/missing", 404), ("/../x", 400), ("/big.bin", 200)) * 3:
                client.sendall(request(path))
                self.assertEqual(Answer(client).status, status)

    def test_file_that_becomes_shorter_ends_the_connection(self):
        path = os.path.join(self.root, "shrinking")
        with open(path, "wb") as file:
            file.truncate(200_000_000)
        with self.server.connect() as client:
            client.sendall(request("/shrinking"))
            client.recv(1000)
            os.truncate(path, 10_000)
            received = 1000
            while data := client.recv(1 << 20):
                received += len(data)
            self.assertLess(received, 200_000_000)
        self.assertEqual(self.get("/text.txt").status, 200)


class Parts(StaticFiles):
    def test_ranges(self):
        size = len(TEXT)
        for asked, first, last in (("0-0", 0, 0), ("0-3", 0, 3), ("3-5", 3, 5), ("3-", 3, 9), ("-3", 7, 9), ("-99", 0, 9),
                                   ("9-", 9, 9), ("0-99999999999999999999999", 0, 9), ("2-99", 2, 9)):
            answer = self.get("/text.txt", f"Range: bytes={asked}\r\n")
            self.assertEqual((answer.status, answer.body), (206, TEXT[first:last + 1]), asked)
            self.assertEqual(answer.headers["content-range"], f"bytes {first}-{last}/{size}")
            self.assertEqual(answer.headers["content-length"], str(last - first + 1))

    def test_parts_of_a_big_file(self):
        for first in (0, 65_535, 65_536, 200_001):
            answer = self.get("/big.bin", f"Range: bytes={first}-{first + 299_999}\r\n")
            self.assertEqual((answer.status, answer.body), (206, BIG[first:first + 300_000]))

    def test_nothing_of_a_range_is_there(self):
        for path, asked in (("/text.txt", "10-"), ("/text.txt", "99-100"), ("/text.txt", "-0"), ("/nothing.css", "0-"),
                            ("/text.txt", "99999999999999999999999-")):
            answer = self.get(path, f"Range: bytes={asked}\r\n")
            size = 0 if path == "/nothing.css" else len(TEXT)
            self.assertEqual((answer.status, answer.headers["content-range"]), (416, f"bytes */{size}"), asked)

    def test_what_is_no_single_range_gets_everything(self):
        for asked in ("bytes=", "bytes=-", "bytes=x-", "bytes=5-3", "bytes=0-1,3-4", "bytes=1", "bytes=1-2x", "bytes=+1-2",
                      "bytes=--1", "lines=0-1", "bytes 0-1", "bytes=0 - 1", "bytes=0x1-2"):
            answer = self.get("/text.txt", f"Range: {asked}\r\n")
            self.assertEqual((answer.status, answer.body), (200, TEXT), asked)

    def test_range_counts_only_for_the_same_file(self):
        date = email.utils.formatdate(MODIFIED, usegmt=True)
        for condition, status in ((date, 206), (email.utils.formatdate(MODIFIED - 1, usegmt=True), 200), ('"tag"', 200)):
            answer = self.get("/text.txt", f"Range: bytes=0-1\r\nIf-Range: {condition}\r\n")
            self.assertEqual(answer.status, status, condition)


class Changes(StaticFiles):
    def test_modified_is_told_and_asked_for(self):
        date = email.utils.formatdate(MODIFIED, usegmt=True)
        self.assertEqual(self.get("/text.txt").headers["last-modified"], date)
        for method in ("GET", "HEAD"):
            answer = self.get("/text.txt", f"If-Modified-Since: {date}\r\n", method)
            self.assertEqual((answer.status, answer.headers["last-modified"]), (304, date))
            self.assertNotIn("content-length", answer.headers)

    def test_not_modified_has_no_body(self):
        date = email.utils.formatdate(MODIFIED + 5, usegmt=True)
        with self.server.connect() as client:
            client.sendall(request("/big.bin", headers=f"If-Modified-Since: {date}\r\n") + request("/text.txt"))
            self.assertEqual([Answer(client).status for _ in range(2)], [304, 200])

    def test_otherwise_it_is_sent(self):
        for headers in ("If-Modified-Since: " + email.utils.formatdate(MODIFIED - 1, usegmt=True), "If-Modified-Since: yesterday",
                        "If-Modified-Since: ", "If-None-Match: \"x\"\r\nIf-Modified-Since: " + email.utils.formatdate(usegmt=True)):
            self.assertEqual(self.get("/text.txt", headers + "\r\n").status, 200, headers)


class Traversal(StaticFiles):
    """Whatever is asked for: an error of the client's, and nothing from outside the root."""

    def test_nothing_outside_the_root(self):
        for path in ("/../secret", "/folder/../../secret", "/./../secret", "/..", "/../", "/folder/..", "/.", "/./text.txt",
                     "/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret",
                     "/folder%2f..%2f..%2fsecret", "/%252e%252e/secret", "/%252e%252e%252fsecret", "/%2e%2e%5csecret",
                     "/..\\secret", "/..%5csecret", "/%c0%ae%c0%ae/secret", "/..;/secret", "/.../secret", "/....//secret",
                     "//secret", "///secret", "//etc/passwd", "/%2fetc/passwd", "/%2e%2e", "//here/../secret",
                     "/etc/passwd", "/secret%00", "/secret%00.txt", "/text.txt%00", "/%00", "/..%00/secret",
                     "/text.txt/../../secret", "/out", "/far", "/up/secret", "/up", "/up/", "/root/etc/passwd", "/self/etc/passwd",
                     "/in/../../secret", "/%", "/%2", "/%zz", "/%2g", "/%-1", "/text.txt%", "secret", "../secret", "*",
                     "http://here/../secret", "http://here", "http://../secret", "file:///etc/passwd", "/?/../../secret\x7f"):
            with self.subTest(path=path):
                answer = self.get(path)
                if path == "http://here":
                    self.assertEqual(answer.body, b"home")
                    continue
                self.assertIn(answer.status, range(400, 500))
                self.assertNotIn(SECRET, answer.body)
                self.assertNotIn(b"root:", answer.body)

    def test_code_is_decoded_once(self):
        self.assertEqual(self.get("/%252e%252e").body, b"not a parent")

    def test_bytes_that_no_target_has(self):
        for path in (b"/..\0/secret", b"/text.txt\0", b"/a\tb", b"/\x80\xff"):
            with self.server.connect() as client:
                client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: here\r\n\r\n")
                answer = Answer(client)
                self.assertIn(answer.status, (400, 404), path)
                self.assertNotIn(SECRET, answer.body)

    def test_swapping_a_link_meanwhile_leads_nowhere(self):
        """What a check before the opening would fall for."""
        path = os.path.join(self.root, "changing")
        folder, link = path + ".folder", path + ".link"
        os.mkdir(folder)
        with open(os.path.join(folder, "secret"), "w") as file:
            file.write("inside")
        os.symlink("..", link)
        done = threading.Event()

        def swap():
            while not done.is_set():
                for source in (folder, link):
                    os.rename(source, path)
                    os.rename(path, source)

        swapper = threading.Thread(target=swap)
        swapper.start()
        try:
            with self.server.connect() as client:
                for _ in range(300):
                    client.sendall(request("/changing/secret"))
                    answer = Answer(client)
                    self.assertIn((answer.status, answer.body), ((200, b"inside"), (404, b"Not Found\n")))
        finally:
            done.set()
            swapper.join()


class BadRequests(StaticFiles, RefusesBadRequests):
    pass


class SlowClients(StaticFiles):
    def stay_connected(self):
        connection = self.server.connect()
        self.addCleanup(connection.__exit__, None, None, None)
        return connection.__enter__()

    def test_fifty_of_them_do_not_keep_others_out_and_are_hung_up_on(self):
        slow = [self.stay_connected() for _ in range(50)]
        for each in slow:
            each.sendall(b"GET /text.txt HTTP/1.1\r\nX: ")
        for _ in range(100):
            for each in slow[:10]:  # these go on for ever
                try:
                    each.sendall(b"x")
                except OSError:
                    pass
            self.assertEqual(self.get("/text.txt").body, TEXT)
        for each in slow[10:]:
            self.assertEqual(Answer(each).status, 408)
            self.assertTrue(closes(each))
        self.assertEqual(self.get("/text.txt").body, TEXT)

    def test_those_who_do_not_read_keep_nobody_out(self):
        for _ in range(50):
            self.stay_connected().sendall(request("/big.bin") * 10)
        for _ in range(20):
            self.assertEqual(self.get("/text.txt").body, TEXT)


class Starting(unittest.TestCase):
    def test_stops_when_asked_to(self):
        with tempfile.TemporaryDirectory() as root:
            for number in (signal.SIGINT, signal.SIGTERM):
                self.assertEqual(Server(PROGRAM, root, "0").stop(number), (0, "Stopping.\n"))

    def test_what_is_no_folder_is_an_error(self):
        for arguments in ([], ["/nonexistent", "0"], [PROGRAM, "0"]):
            run = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
            self.assertEqual(run.returncode, 1, arguments)
            self.assertTrue(run.stderr.startswith("19_static_files: "), run.stderr)


unittest.main()
