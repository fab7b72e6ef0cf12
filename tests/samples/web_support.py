"""Speaks HTTP to a sample server by plain sockets, and what every such server has to refuse."""
import unittest


class Answer:
    def __init__(self, connection, to_head=False):
        """Reads exactly one answer."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.some(connection, 1)
        lines = data[:-4].decode("ascii").split("\r\n")
        self.version, status, _ = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        self.body = b""
        while not to_head and len(self.body) < int(self.headers.get("content-length", 0)):
            self.body += self.some(connection, int(self.headers["content-length"]) - len(self.body))

    @staticmethod
    def some(connection, n):
        data = connection.recv(n)
        if not data:
            raise ConnectionError("hung up within an answer")
        return data


def request(path, method="GET", headers="", body=b"", version="1.1"):
    return f"{method} {path} HTTP/{version}\r\nHost: here\r\n{headers}\r\n".encode() + body


def closes(connection):
    return connection.recv(1) == b""


class WebCase(unittest.TestCase):
    """A test with a server in self.server."""

    def ask(self, data):
        with self.server.connect() as client:
            client.sendall(data)
            return Answer(client)

    def assert_refused(self, status, data):
        """Answered so, and the connection closed: nothing that follows can be trusted."""
        with self.server.connect() as client:
            client.sendall(data)
            answer = Answer(client)
            self.assertEqual(answer.status, status, data[:200])
            self.assertEqual(answer.headers["connection"], "close")
            self.assertTrue(closes(client))


class RefusesBadRequests:
    """Tests of a WebCase: what is wrong, unclear or too much gets an error, and the connection closed."""

    def test_nonsense(self):
        for data in (b"hello\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n",
                     b"GET / HTTP/x.y\r\nHost: a\r\n\r\n", b"GET / JUNK/1.1\r\nHost: a\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET / HTTP/1.1\nHost: a\n\n"):
            self.assert_refused(400, data)

    def test_host_is_needed_once(self):
        self.assert_refused(400, b"GET / HTTP/1.1\r\n\r\n")
        self.assert_refused(400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")

    def test_length_must_be_clear(self):
        for headers in ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                        "Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: 3, 4\r\n",
                        "Content-Length: -1\r\n", "Content-Length: 99999999999999999999\r\n",
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"):
            self.assert_refused(400, request("/", "POST", headers, b"abc"))
        self.assert_refused(400, request("/", "POST", "Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"))
        self.assert_refused(400, request("/", "POST", "Transfer-Encoding: chunked\r\n", version="1.0"))

    def test_nothing_is_smuggled(self):
        """Whatever another server in between may read differently."""
        for headers in ("Transfer-Encoding : chunked\r\n", "Content-Length : 3\r\n", "Content-Length: +3\r\n",
                        "Content-Length: 0x3\r\n", "Content-Length: 3 3\r\n", "Content-Length:\r\n", "Content-Length: \"3\"\r\n",
                        "Content-Length: 3,3\r\n", "X: y\rContent-Length: 3\r\n", "X: y\nContent-Length: 3\r\n",
                        "Content-Length: 3\r\nContent-Length: 3\r\n", "\x00Content-Length: 3\r\n", "Content-Length\x00: 3\r\n", "Content-Length: 3\x00\r\n",
                        ": 3\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "Content-Length\r\n: 3\r\n"):
            self.assert_refused(400, request("/", "POST", headers, b"abc"))
        for chunks in (b"-1\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n",
                       b"3\r\nabcd\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"\r\n", b"3\r\nabc0\r\n\r\n"):
            self.assert_refused(400, request("/", "POST", "Transfer-Encoding: chunked\r\n", chunks))

    def test_unknown_encoding(self):
        for encoding in ("gzip", "gzip, chunked", "chunked, gzip", "xchunked"):
            self.assert_refused(501, request("/", "POST", f"Transfer-Encoding: {encoding}\r\n"))

    def test_too_much(self):
        self.assert_refused(413, request("/", "POST", "Content-Length: 1000000000\r\n", b"x" * 100_000))
        self.assert_refused(413, request("/", "POST", "Transfer-Encoding: chunked\r\n",
                                         b"10000\r\n" + b"x" * 65536 + b"\r\n1\r\nx\r\n0\r\n\r\n"))
        self.assert_refused(414, request("/" + "x" * 20_000))
        self.assert_refused(431, request("/", headers="X: " + "y" * 20_000 + "\r\n"))
        self.assert_refused(431, request("/", headers="X: y\r\n" * 20_000))

    def test_other_version(self):
        self.assert_refused(505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assert_refused(505, request("/", version="3.0"))
