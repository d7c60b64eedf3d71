"""A small HTTP/1.1 client on a blocking socket: cheap enough not to be what is measured."""

import hashlib
import os
import socket
import struct
from urllib.parse import urlsplit

TIMEOUT_SECS = 120
READ_SIZE_BYTES = 1 << 20
# A registry's answer other than a large blob; more than this is a broken server.
BODY_LIMIT_BYTES = 64 << 20


class WrongAnswer(Exception):
    """A server answered something else than it should have: its numbers do not count."""


class Response:
    """A status, headers by lower-case name, and the body (empty if it was discarded)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Connection:
    """One keep-alive connection to a server given by its base URL; https needs the SSLContext."""

    def __init__(self, url, tls=None):
        parts = urlsplit(url)
        if parts.scheme != ("https" if tls else "http"):
            raise ValueError(f"{url}: not what is connected to {'with' if tls else 'without'} TLS")
        self.host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), TIMEOUT_SECS)
        # A Python timeout would make the socket non-blocking, which sendfile and MSG_TRUNC do not want.
        self._socket.settimeout(None)
        limit = struct.pack("ll", TIMEOUT_SECS, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = tls is not None
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._rest = b""

    def close(self):
        """Hangs up."""
        self._socket.close()

    def request(self, method, target, headers=(), body=b""):
        """Sends a request with a body in memory and reads the whole answer."""
        self._send_head(method, target, headers, len(body), body)
        return self._read_answer(method)

    def send_file(self, method, target, file, size_bytes, tail):
        """Sends the first `size_bytes` of a file and then `tail`, without copying the file into this process.

        Not with TLS, which the kernel knows nothing of.
        """
        assert not self._tls
        self._send_head(method, target, (("Content-Type", "application/octet-stream"),), size_bytes + len(tail))
        offset = 0
        while offset < size_bytes:
            sent = os.sendfile(self._socket.fileno(), file.fileno(), offset, size_bytes - offset)
            if sent == 0:
                raise WrongAnswer(f"the file ended after {offset} of {size_bytes} bytes")
            offset += sent
        self._socket.sendall(tail)
        return self._read_answer(method)

    def get_large(self, target, length, digest=None):
        """GETs a body of a known length. With a digest the body is hashed; without, the kernel throws it away."""
        self._send_head("GET", target, (), 0)
        status, headers = self._read_head()
        announced = headers.get("content-length")
        if status != 200 or announced != str(length):
            raise WrongAnswer(f"GET {target}: {status} with Content-Length {announced}, not {length}")
        state = hashlib.sha256(self._rest)
        left = length - len(self._rest)
        self._rest = b""
        scratch = bytearray(READ_SIZE_BYTES)
        # On TCP, MSG_TRUNC drops what was received instead of copying it here.
        flags = 0 if digest or self._tls else socket.MSG_TRUNC
        while left > 0:
            got = self._socket.recv_into(scratch, min(left, READ_SIZE_BYTES), flags)
            if got == 0:
                raise WrongAnswer(f"GET {target}: the body ended {left} bytes early")
            if digest:
                state.update(memoryview(scratch)[:got])
            left -= got
        if digest and "sha256:" + state.hexdigest() != digest:
            raise WrongAnswer(f"GET {target}: the body's digest is sha256:{state.hexdigest()}")

    def _send_head(self, method, target, headers, length, body=b""):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if length or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {length}")
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _receive(self):
        part = self._socket.recv(READ_SIZE_BYTES)
        if not part:
            raise WrongAnswer("the server hung up in mid-answer")
        self._rest += part
        if len(self._rest) > BODY_LIMIT_BYTES:
            raise WrongAnswer(f"an answer of more than {BODY_LIMIT_BYTES} bytes")

    def _take_until(self, mark):
        while mark not in self._rest:
            self._receive()
        part, _, self._rest = self._rest.partition(mark)
        return part

    def _take(self, size_bytes):
        while len(self._rest) < size_bytes:
            self._receive()
        part, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return part

    def _read_head(self):
        lines = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(lines[0].split()[1]), headers

    def _read_answer(self, method):
        status, headers = self._read_head()
        body = b""
        if method == "HEAD" or status in (204, 304):
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self._take_until(b"\r\n").split(b";")[0], 16):
                body += self._take(size)
                self._take(2)
            while self._take_until(b"\r\n"):
                pass  # Trailers.
        else:
            body = self._take(int(headers.get("content-length", "0")))
        return Response(status, headers, body)


def expect(response, status, what, **headers):
    """Raises WrongAnswer unless the status and the given headers (docker_content_digest=...) are right."""
    if response.status != status:
        raise WrongAnswer(f"{what}: {response.status} instead of {status}: {response.body[:200]!r}")
    for name, value in headers.items():
        name = name.replace("_", "-")
        if response.headers.get(name) != value:
            raise WrongAnswer(f"{what}: {name} is {response.headers.get(name)!r}, not {value!r}")
    return response
