#!/usr/bin/env python3
"""A registry's reverse proxy that writes down what it is asked, and answers wrongly where it is told to.

injector.py ADDRESS PORT TARGET-PORT LOG [USER:PASSWORD]: LOG gets a line of JSON for each request, before its
answer is sent. With a user it is a store that needs no login itself. PUT /rules has a list of rules; of a
rule that matches, one use is taken away:
    method, path (a regular expression), times (1 unless told), do, and for that
    status: code, headers                  an answer of its own
    redirect: to                           the same path at another host
    cut: at                                the connection ends behind so many bytes of the body
    corrupt: at                            one byte is another
    length: by                             Content-Length is so much more, or less
    pause: at, secs                        a rest behind so many bytes
    hang: secs                             before anything is answered
"""

import base64
import http.client
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 65536
SENT_ON = ("accept", "authorization", "range", "if-none-match", "accept-encoding", "user-agent")
NOT_SENT_BACK = ("connection", "transfer-encoding", "content-length", "date", "server")


class Injector(ThreadingHTTPServer):
    """What the requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, target, log, user):
        super().__init__(address, Handler)
        self.target = target
        self.log = open(log, "a", encoding="utf-8")
        self.basic = user and "Basic " + base64.b64encode(user.encode()).decode()
        self.rules = []
        self.lock = threading.Lock()

    def rule_for(self, method, path):
        """The first rule that matches, with one use less."""
        with self.lock:
            for rule in self.rules:
                if rule.get("method", method) == method and re.search(rule.get("path", ""), path):
                    rule["times"] = rule.get("times", 1) - 1
                    if rule["times"] <= 0:
                        self.rules.remove(rule)
                    return rule
        return {"do": "nothing"}

    def write_down(self, entry):
        """A line of the log."""
        with self.lock:
            self.log.write(json.dumps(entry) + "\n")
            self.log.flush()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_PUT(self):  # pylint: disable=invalid-name
        """New rules in the place of the old ones."""
        rules = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.rules = rules
        self.answer(204, {})

    def do_GET(self):  # pylint: disable=invalid-name
        """What a mirror asks."""
        rule = self.server.rule_for(self.command, self.path)
        self.server.write_down({
            "method": self.command, "path": self.path, "did": rule["do"],
            "authorization": self.headers["Authorization"], "range": self.headers["Range"],
            "headers": {name.lower(): value for name, value in self.headers.items()},
        })
        match rule["do"]:
            case "status":
                self.answer(rule["code"], rule.get("headers", {}))
            case "redirect":
                self.answer(307, {"Location": rule["to"] + self.path})
            case "hang":
                time.sleep(rule["secs"])
                self.pass_on(rule)
            case _:
                self.pass_on(rule)

    do_HEAD = do_GET  # pylint: disable=invalid-name

    def answer(self, status, headers):
        """An answer without a body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def pass_on(self, rule):
        """The target's answer, more or less."""
        # Some say in a line each what they accept.
        headers = {name: ", ".join(self.headers.get_all(name)) for name in SENT_ON if name in self.headers}
        headers["Host"] = self.headers["Host"]
        if self.server.basic:
            headers["Authorization"] = self.server.basic
        target = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        try:
            target.request(self.command, self.path, headers=headers)
            got = target.getresponse()
        except OSError:
            self.close_connection = True
            return
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in NOT_SENT_BACK:
                self.send_header(name, value)
        length = int(got.getheader("Content-Length") or 0)
        by = rule["by"] if rule["do"] == "length" else 0
        self.send_header("Content-Length", str(length + by))
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.send_body(got, rule, length + min(by, 0))
            except (OSError, http.client.HTTPException):
                self.close_connection = True
        target.close()
        if rule["do"] in ("cut", "length"):
            self.close_connection = True

    def send_body(self, got, rule, length):
        """So many bytes of it, and what the rule says on the way."""
        sent, at = 0, rule.get("at")
        while sent < length:
            # Up to the place where something happens, and one byte there.
            size = min(PIECE, length - sent)
            if at is not None and sent < at:
                size = min(size, at - sent)
            if sent == at:
                if rule["do"] == "cut":
                    return
                if rule["do"] == "pause":
                    self.wfile.flush()
                    time.sleep(rule["secs"])
                if rule["do"] == "corrupt":
                    size = 1
            piece = got.read(size)
            if not piece:
                # The target says more than it has, too.
                self.close_connection = True
                return
            if sent == at and rule["do"] == "corrupt":
                piece = bytes([piece[0] ^ 1])
            self.wfile.write(piece)
            sent += len(piece)


def main():
    """Until it is ended."""
    address, port, target, log = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    user = sys.argv[5] if len(sys.argv) > 5 else None
    Injector((address, port), target, log, user).serve_forever()


if __name__ == "__main__":
    main()
