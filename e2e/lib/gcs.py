#!/usr/bin/env python3
"""What the XML API of Google Cloud Storage has over S3, in front of an S3 store: gcs.py PORT ENDPOINT REGION.

The keys of the store are in S3_ACCESS_KEY and S3_SECRET_KEY. Requests need no credentials. Of what Google does
differently: generations and x-goog-if-generation-match, x-goog-copy-source, and that a delete of what is not there
is a 404. Everything else, multipart uploads and listings among it, is the store's own answer.
"""

import hashlib
import hmac
import http.client
import os
import sys
import threading
import urllib.parse
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMEOUT_SECS = 60
PIECE_BYTES = 1 << 20
# As they come, and with the store's names for what Google calls otherwise.
PASSED = ("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "content-type")
ANSWERED = ("content-type", "content-length", "content-range", "etag", "last-modified", "accept-ranges")


def quoted(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-_.~")


def signed(method, host, path, query, region, extra):
    """The headers of a request with signature version 4 that covers these, but not the body."""
    access_key, secret_key = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"]
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now} | extra
    headers = dict(sorted(headers.items()))
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + secret_key).encode()
    for part in (now[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint, region = "", ""
    # Two conditional writes of one object do not overlap.
    conditional = threading.Lock()

    def ask(self, method, headers=(), body=b"", query=""):
        """The store's answer about the object of this request, not read yet."""
        connection = http.client.HTTPConnection(self.endpoint, timeout=TIMEOUT_SECS)
        path = quoted(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path), "/")
        all_headers = signed(method, self.endpoint, path, query, self.region, dict(headers))
        if method in ("PUT", "POST"):
            all_headers["Content-Length"] = str(len(body))
        connection.request(method, path + ("?" + query if query else ""), body=body or None, headers=all_headers)
        return connection.getresponse()

    def generation(self):
        """What stands for the object's generation, or 0 if there is none."""
        answer = self.ask("HEAD")
        answer.read()
        if answer.status != 200:
            return "0"
        made = f"{answer.headers['ETag']} {answer.headers['Last-Modified']}"
        return str(int(hashlib.sha256(made.encode()).hexdigest()[:14], 16))

    def pass_on(self):
        query = urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
        text = "&".join(sorted(f"{quoted(name)}={quoted(value)}" for name, value in query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: self.headers[name] for name in PASSED if name in self.headers}
        if "x-goog-copy-source" in self.headers:
            source = urllib.parse.unquote(self.headers["x-goog-copy-source"])
            headers["x-amz-copy-source"] = quoted(source, "/")
        wanted = self.headers.get("x-goog-if-generation-match")
        if wanted is not None:
            with self.conditional:
                if self.generation() != wanted:
                    return self.refuse(412, "PreconditionFailed")
                return self.relay(self.ask(self.command, headers, body, text))
        if self.command == "DELETE" and not query and self.generation() == "0":
            return self.refuse(404, "NoSuchKey")
        return self.relay(self.ask(self.command, headers, body, text))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def relay(self, answer):
        self.send_response(answer.status)
        for name in ANSWERED:
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        if self.command in ("PUT", "POST", "GET", "HEAD") and answer.status < 300 and "ETag" in answer.headers:
            self.send_header("x-goog-generation", self.generation())
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        chunked = has_body and "content-length" not in answer.headers
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while has_body and (piece := answer.read(PIECE_BYTES)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def refuse(self, status, code):
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    Gateway.endpoint, Gateway.region = urllib.parse.urlsplit(sys.argv[2]).netloc, sys.argv[3]
    Server(("127.0.0.1", int(sys.argv[1])), Gateway).serve_forever()
