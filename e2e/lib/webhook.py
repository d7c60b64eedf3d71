#!/usr/bin/env python3
"""A webhook receiver that can misbehave, and what can be asked about the events it got.

webhook.py serve DIR         listens on a free loopback port, which it writes to DIR/port. DIR/mode says
                             what to do with a request: ok, fail, hang or garbage. Every request becomes
                             a line of DIR/requests. With DIR/tls.pem (certificate and key) it is https.
webhook.py taken DIR ACTION  action, repository, tag and digest of the events that were taken
webhook.py check DIR KEY     every request is one envelope with the right headers and signature, repeated
                             events are the same bytes, first deliveries are in the order of the events
webhook.py compare OURS THEIRS  the envelopes are what Distribution 2.8 sent, in the form of version 3
"""

import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import sys
import time

EMPTY = {"mediaType": "", "digest": "", "size": 0}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with open(os.path.join(self.server.directory, "mode")) as file:
            mode = file.read().strip()
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = {"taken": mode == "ok", "path": self.path, "headers": headers, "body": body.decode()}
        with open(os.path.join(self.server.directory, "requests"), "a") as file:
            file.write(json.dumps(line) + "\n")
        if mode == "hang":
            time.sleep(60)
            self.close_connection = True
        elif mode == "garbage":
            self.wfile.write(b"\x00\xff garbage " * 1000)
            self.close_connection = True
        else:
            self.send_response(200 if mode == "ok" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A sender that has given up is nothing to tell."""


def serve(directory):
    server = Server(("127.0.0.1", 0), Handler)
    server.directory = directory
    if os.path.exists(os.path.join(directory, "tls.pem")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(directory, "tls.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(os.path.join(directory, "port.new"), "w") as file:
        file.write(str(server.server_port))
    os.rename(os.path.join(directory, "port.new"), os.path.join(directory, "port"))
    server.serve_forever()


def requests(directory):
    try:
        with open(os.path.join(directory, "requests")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def event_of(request):
    events = json.loads(request["body"])["events"]
    assert len(events) == 1, "one event per envelope"
    return events[0]


def taken(directory, action):
    for request in requests(directory):
        event = event_of(request)
        if request["taken"] and event["action"] == action:
            target = event["target"]
            fields = (action, target.get("repository"), target.get("tag"), target.get("digest"))
            print(*(field or "-" for field in fields))


def check(directory, key):
    bodies = {}
    for request in requests(directory):
        headers, body = request["headers"], request["body"]
        expected = "application/vnd.docker.distribution.events.v2+json"
        assert headers["content-type"] == expected, headers["content-type"]
        signature = headers.get("x-wharf-signature-256")
        if key:
            mac = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
            assert signature == "sha256=" + mac, f"signature {signature}"
        else:
            assert signature is None, "a signature without a key"
        assert body == go_json(json.loads(body)), "not indented and escaped as Go does it: " + body
        identifier = event_of(request)["id"]
        assert bodies.setdefault(identifier, body) == body, "a repetition differs"
    print(len(bodies), "events in", len(requests(directory)), "requests")


def go_json(value):
    text = json.dumps(value, indent=3, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def normalised(body):
    """Without what differs between any two runs."""
    body = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", body)
    body = re.sub(r'"timestamp": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,8}[1-9])?Z"', '"timestamp": "T"', body)
    body = re.sub(r"127\.0\.0\.1:\d+", "HOST", body)
    return re.sub(r'("source": {\s*"addr": "[^":]*):\d+', r"\1:PORT", body)


def as_version_3(body):
    """An envelope of Distribution 2.8 as version 3 writes it: the descriptor first, and whole."""
    envelope = json.loads(body)
    event = envelope["events"][0]
    in_order = lambda d: {**{name: d.get(name, EMPTY[name]) for name in EMPTY}, **d}
    target = in_order(event["target"])
    if "references" in target:
        target["references"] = [in_order(reference) for reference in target["references"]]
    event["target"] = target
    return go_json(envelope)


def compare(ours, theirs):
    ours = [normalised(request["body"]) for request in requests(ours)]
    theirs = [normalised(as_version_3(request["body"])) for request in requests(theirs)]
    for number, (our, their) in enumerate(zip(ours, theirs)):
        assert our == their, f"event {number} differs:\n{our}\n--- Distribution:\n{their}"
    assert len(ours) == len(theirs), f"{len(ours)} events, Distribution has {len(theirs)}"
    assert ours, "nothing to compare"
    print(len(ours), "events are the same")


if __name__ == "__main__":
    commands = {"serve": serve, "taken": taken, "check": check, "compare": compare}
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except AssertionError as error:
        sys.exit(f"webhook.py: {error}")
