#!/usr/bin/env python3
"""Load on a TLS registry while its certificate changes.

tls_load.py PORT AUTHORITY DIRECTORY REPOSITORY PUSHES

Three kinds of clients at the same time, all of which check the server against AUTHORITY:
  PUSHES   monolithic pushes of a blob that have sent half of their body, and wait
  10       connections that ask again and again, and are never made anew
  10       clients that connect anew for each request
Once all pushes are in flight, DIRECTORY/ready is written. When DIRECTORY/stop appears the pushes send
the rest, and everything that did not go well, with counts, is printed as one JSON object.
"""

import asyncio
import hashlib
import json
import os
import ssl
import sys

BODY = b"half of this body is sent before and half after ".ljust(256, b".")
# Handshakes at a time; more would only wait for each other.
CONNECTING_MAX = 50
CLIENTS = 10
ANSWER_LIMIT_SECS = 60


class Load:
    def __init__(self, port, authority, directory, repository):
        self.port, self.directory, self.repository = port, directory, repository
        self.context = ssl.create_default_context(cafile=authority)
        self.connecting = asyncio.Semaphore(CONNECTING_MAX)
        self.stopping = asyncio.Event()
        self.waiting = 0
        self.counts = {"pushes": 0, "kept": 0, "anew": 0}
        self.failures = []
        self.certificates = set()
        self.kept_certificates = []

    async def connect(self):
        async with self.connecting:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost", ssl_handshake_timeout=60
            )
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        certificate = hashlib.sha256(certificate).hexdigest()
        self.certificates.add(certificate)
        return reader, writer, certificate

    async def ask(self, reader, writer):
        writer.write(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, body = await answer(reader)
        if status != 200 or body != b"{}":
            raise ValueError(f"{status} {body[:100]!r}")

    async def kept(self):
        reader, writer, certificate = await self.connect()
        while not self.stopping.is_set():
            await self.ask(reader, writer)
            self.counts["kept"] += 1
            await asyncio.sleep(0.01)
        await self.ask(reader, writer)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert hashlib.sha256(shown).hexdigest() == certificate
        self.kept_certificates.append(certificate)
        writer.close()

    async def anew(self):
        while not self.stopping.is_set():
            reader, writer, _ = await self.connect()
            await self.ask(reader, writer)
            writer.close()
            self.counts["anew"] += 1

    async def push(self, number):
        digest = "sha256:" + hashlib.sha256(BODY).hexdigest()
        reader, writer, _ = await self.connect()
        head = (
            f"POST /v2/{self.repository}/{number % 20}/blobs/uploads/?digest={digest} HTTP/1.1\r\n"
            f"Host: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        middle = len(BODY) // 2
        writer.write(head.encode() + BODY[:middle])
        await writer.drain()
        self.waiting += 1
        await self.stopping.wait()
        writer.write(BODY[middle:])
        status, body = await answer(reader)
        if status != 201:
            raise ValueError(f"{status} {body[:200]!r}")
        self.counts["pushes"] += 1
        writer.close()

    async def watched(self, what, work):
        try:
            await work
        except Exception as error:  # every kind of failure is one
            self.failures.append(f"{what}: {type(error).__name__}: {error}")
            self.waiting += what == "push"

    async def direct(self, pushes):
        while self.waiting < pushes:
            await asyncio.sleep(0.05)
        open(os.path.join(self.directory, "ready"), "w").close()
        while not os.path.exists(os.path.join(self.directory, "stop")):
            await asyncio.sleep(0.05)
        self.stopping.set()

    async def run(self, pushes):
        work = [self.direct(pushes)]
        work += [self.watched("push", self.push(number)) for number in range(pushes)]
        work += [self.watched("kept", self.kept()) for _ in range(CLIENTS)]
        work += [self.watched("anew", self.anew()) for _ in range(CLIENTS)]
        await asyncio.gather(*work)
        counts = dict(self.counts, failures=self.failures[:10], failed=len(self.failures))
        counts["certificates"] = len(self.certificates)
        counts["kept_connections"] = len(self.kept_certificates)
        counts["kept_certificates"] = len(set(self.kept_certificates))
        print(json.dumps(counts))


async def answer(reader):
    async with asyncio.timeout(ANSWER_LIMIT_SECS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next((int(line[15:]) for line in head if line.startswith("content-length:")), 0)
        return int(head[0].split()[1]), await reader.readexactly(length)


def main():
    port, authority, directory, repository, pushes = sys.argv[1:]
    asyncio.run(Load(int(port), authority, directory, repository).run(int(pushes)))


main()
