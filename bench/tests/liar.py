"""A server that answers what a test says, for tests that expect the lie to be found."""

import http.server
import os
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

# pylint: disable=wrong-import-position
from compare import servers
from compare.http1 import WrongAnswer
from compare.sizes import Sizes

SIZES = Sizes(large_bytes=1 << 20, link_bytes=1 << 16, request_secs=1, connections=2, get_clients=2, gets_each=1,
              small_pushes=4, contention_pushes=2, cold_clients=2, referrers=3, mixed_clients=2,
              change_rest_secs=0)


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers each method, or method and path, with what the test says: (status, headers, body, announced length)."""

    protocol_version = "HTTP/1.1"
    answers = {}

    def answer(self):
        """The scripted answer to this method, after the request's body."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        by_path = self.answers.get(f"{self.command} {self.path}")
        status, headers, body, length = by_path or self.answers[self.command]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.close_connection = len(body) < length

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        """Nothing."""

    def handle(self):
        """A client that has found the lie hangs up."""
        try:
            super().handle()
        except ConnectionError:
            pass


class LiarTest(unittest.TestCase):
    """Each test scripts one lie and expects it to be found."""

    def setUp(self):
        Scripted.answers = {}
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.server = servers.Server("liar", f"http://127.0.0.1:{self.http.server_address[1]}", os.getpid())
        self.work = tempfile.TemporaryDirectory()
        self.addCleanup(self.work.cleanup)
        self.addCleanup(self.http.server_close)
        self.addCleanup(self.http.shutdown)

    def script(self, method, status, body=b"", length=None, **headers):
        """The next answers to a method, or to a method and a path."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        length = len(body) if length is None else length
        Scripted.answers = {**Scripted.answers, method: (status, headers, body, length)}

    def refused(self, step):
        """The step must raise, in this process or in a crew's."""
        with self.assertRaises((WrongAnswer, RuntimeError)) as raised:
            step()
        return str(raised.exception)
