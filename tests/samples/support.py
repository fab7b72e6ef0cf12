"""Starts a sample server, talks to it by plain sockets, and sees that it goes away."""
import contextlib
import re
import socket
import subprocess

PATIENCE = 20  # seconds: far more than anything here needs


class Server:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Listening on port (\d+)\.\n", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"{command[0]} said {line!r}")
        self.port = int(found[1])

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return contextlib.closing(connection)

    def is_listening(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Returns its exit status, and all that it printed after its first line."""
        try:
            rest, _ = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, rest

    def stop(self, number):
        self.send_signal(number)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.communicate()


def read_until_end(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))
