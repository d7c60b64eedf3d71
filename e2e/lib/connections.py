#!/usr/bin/env python3
"""Clients that no program is: slow, silent, deaf, and ten thousand at a time.

connections.py trickle PORT COUNT SECS < BYTES
    COUNT connections that send BYTES at once up to the first "|", and then one byte every 0.1
    seconds of what follows, again and again. Prints as JSON when the server ended them, in seconds, how
    many it had not ended after SECS, and the status lines it answered with.
connections.py silent PORT COUNT SECS
    The same without sending anything.
connections.py deaf PORT PATH PAUSE
    Asks for PATH, reads nothing for PAUSE seconds, then everything: JSON with bytes and promised bytes.
connections.py http2-deaf PORT PATH COUNT STREAMS DIRECTORY
    COUNT connections over HTTP/2 that ask for PATH in STREAMS requests each, give room for all of the answers,
    and read nothing. Writes DIRECTORY/ready, and ends when DIRECTORY/stop appears.
connections.py http2-stalled PORT PATH STREAMS SECS
    One connection that asks for PATH in STREAMS requests, gives no room for an answer, and answers every ping.
    Prints as JSON when the server ended the requests, like trickle.
connections.py honest PORT PATH FILE BYTES-PER-SEC
    Sends FILE with POST, in small pieces and evenly. Prints the status.
connections.py honest-pull PORT PATH FILE BYTES-PER-SEC
    Writes the answer to FILE, and takes it in small pieces and evenly: curl's --limit-rate takes megabytes at
    once and then nothing for seconds. The system keeps little for it. Prints the status.
connections.py http2-head PORT BYTES
    A request over HTTP/2 whose head has that many bytes, which libraries refuse to send. Prints 431 if
    that is the answer, else the kind of the frame that came instead.
connections.py idle PORT COUNT DIRECTORY [AUTHORITY]
    COUNT connections at the same time: half have made a request and keep the connection, a quarter never
    sent anything, a quarter sent half a head. With AUTHORITY all speak TLS, and all made a request.
    Writes DIRECTORY/ready; when DIRECTORY/stop appears, uses those of the first half once more, and
    prints how many of them are alive.
"""

import asyncio
import json
import os
import socket
import ssl
import sys
import time

CONNECTING_MAX = 200
ANSWER_LIMIT_SECS = 60
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: e2e\r\n\r\n"


async def connect(port, context=None):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
    )


async def ended(port, at_once, piece, secs):
    """When the server ended this connection (None if it did not), and what it had said."""
    began = time.monotonic()
    reader, writer = await connect(port)
    said = bytearray()

    async def listen():
        try:
            while data := await reader.read(65536):
                said.extend(data)
        except ConnectionError:
            pass

    async def talk():
        try:
            writer.write(at_once)
            while piece:
                for byte in piece:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.1)
        except ConnectionError:
            pass

    talking = asyncio.create_task(talk())
    try:
        await asyncio.wait_for(listen(), secs)
        after = round(time.monotonic() - began, 2)
    except TimeoutError:
        after = None
    talking.cancel()
    writer.transport.abort()
    return after, bytes(said).split(b"\r\n")[0].decode("latin-1")


async def patience(port, count, secs, sent=b""):
    at_once, _, piece = sent.partition(b"|")
    outcomes = await asyncio.gather(*(ended(port, at_once, piece, secs) for _ in range(count)))
    times = sorted(after for after, _ in outcomes if after is not None)
    print(json.dumps({
        "first": times[0] if times else None,
        "last": times[-1] if times else None,
        "left": count - len(times),
        "answers": sorted({answer for _, answer in outcomes}),
    }))


async def deaf(port, path, pause):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: e2e\r\n\r\n".encode())
    _, promised = await answer_head(reader)
    await asyncio.sleep(pause)
    got = 0
    try:
        while got < promised and (data := await asyncio.wait_for(reader.read(1 << 20), ANSWER_LIMIT_SECS)):
            got += len(data)
    except ConnectionError:
        pass
    print(json.dumps({"bytes": got, "promised": promised}))


async def http2_begin(port, path, streams, window):
    """A connection with requests under way, each of which the client takes `window` bytes of."""
    reader, writer = await connect(port)
    settings = (4).to_bytes(2, "big") + window.to_bytes(4, "big")
    room = ((1 << 31) - 1 - 65535).to_bytes(4, "big")
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, settings) + frame(4, 1, 0) + frame(8, 0, 0, room))
    head = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", path.encode()), (b":authority", b"e2e")]
    block = b"".join(field(name, value) for name, value in head)
    for number in range(streams):
        # HEADERS that end their stream and the head.
        writer.write(frame(1, 5, 2 * number + 1, block))
    await writer.drain()
    return reader, writer


async def http2_deaf(port, path, count, streams, directory):
    connections = [await http2_begin(port, path, streams, (1 << 31) - 1) for _ in range(count)]
    for reader, writer in connections:
        writer.transport.pause_reading()
    await asyncio.sleep(3)
    open(os.path.join(directory, "ready"), "w").close()
    while not os.path.exists(os.path.join(directory, "stop")):
        await asyncio.sleep(0.1)


async def http2_stalled(port, path, streams, secs):
    began = time.monotonic()
    reader, writer = await http2_begin(port, path, streams, 0)
    times = []

    async def listen():
        while len(times) < streams:
            start = await reader.readexactly(9)
            content = await reader.readexactly(int.from_bytes(start[:3], "big"))
            kind, flags = start[3], start[4]
            if kind == 6 and not flags & 1:
                writer.write(frame(6, 1, 0, content))
            elif kind == 3:
                times.append(round(time.monotonic() - began, 2))
            elif kind == 7:
                raise ValueError("GOAWAY")

    try:
        await asyncio.wait_for(listen(), secs)
    except TimeoutError:
        pass
    print(json.dumps({"first": min(times, default=None), "last": max(times, default=None), "left": streams - len(times), "answers": []}))


async def honest(port, path, file, rate):
    with open(file, "rb") as opened:
        content = opened.read()
    reader, writer = await connect(port)
    head = f"POST {path} HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode())
    piece = rate // 10
    begun = time.monotonic()
    for number, begin in enumerate(range(0, len(content), piece), 1):
        writer.write(content[begin : begin + piece])
        await writer.drain()
        await until(begun + number / 10)
    line = await asyncio.wait_for(reader.readline(), ANSWER_LIMIT_SECS)
    print(line.split()[1].decode())


async def honest_pull(port, path, file, rate):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    sock.connect(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: e2e\r\n\r\n".encode())
    status, promised = await answer_head(reader)
    got, begun, number = 0, time.monotonic(), 0
    with open(file, "wb") as opened:
        while got < promised:
            try:
                content = await reader.readexactly(min(rate // 10, promised - got))
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                sys.exit(f"{status}, cut in the piece after {got} of {promised} bytes: {error}")
            opened.write(content)
            got += len(content)
            number += 1
            await until(begun + number / 10)
    print(status)


async def until(moment):
    """By the clock, so that a busy machine does not make an even client slow."""
    await asyncio.sleep(max(0, moment - time.monotonic()))


async def answer_head(reader):
    """The status, and how many bytes are promised."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_LIMIT_SECS)
    lines = head.lower().split(b"\r\n")
    promised = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    return lines[0].split()[1].decode(), promised


def frame(kind, flags, stream, content=b""):
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def field(name, value):
    """A literal field that is not indexed (RFC 7541, section 6.2.2)."""
    return b"\0" + text(name) + text(value)


def text(content):
    rest, coded = len(content) - 127, bytes([min(len(content), 127)])
    while rest >= 128:
        coded, rest = coded + bytes([rest % 128 + 128]), rest // 128
    return coded + (bytes([rest]) if len(content) >= 127 else b"") + content


# "431" in a status field, by the code of RFC 7541, appendix B, and plain.
STATUS_431 = (b"\x83\x69\x90\xff", b"\x03431")


async def http2_head(port, size):
    head = field(b":method", b"GET") + field(b":scheme", b"http") + field(b":path", b"/v2/") + field(b":authority", b"e2e")
    for number in range(size // 4000):
        head += field(b"x-part-%d" % number, b"x" * 4000)
    pieces = [head[begin : begin + 16000] for begin in range(0, len(head), 16000)]
    reader, writer = await connect(port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0))
    for number, piece in enumerate(pieces):
        # HEADERS that end the stream, then CONTINUATION, the last of which ends the head.
        first, last = number == 0, number == len(pieces) - 1
        writer.write(frame(1 if first else 9, (1 if first else 0) | (4 if last else 0), 1, piece))
    while True:
        start = await asyncio.wait_for(reader.readexactly(9), ANSWER_LIMIT_SECS)
        content = await reader.readexactly(int.from_bytes(start[:3], "big"))
        if start[3] == 1 and any(status in content for status in STATUS_431):
            return print(431)
        if start[3] in (1, 3, 7):
            return print({1: "another status", 3: "RST_STREAM", 7: "GOAWAY"}[start[3]], content.hex())


async def ask(reader, writer):
    writer.write(REQUEST)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_LIMIT_SECS)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head)
    await reader.readexactly(2)


async def idle(port, count, directory, authority=None):
    context = ssl.create_default_context(cafile=authority) if authority else None
    room = asyncio.Semaphore(CONNECTING_MAX)

    async def one(number):
        async with room:
            reader, writer = await connect(port, context)
            if context or number % 2 == 0:
                await ask(reader, writer)
            elif number % 4 == 1:
                writer.write(REQUEST[:30])
            return reader, writer

    connections = await asyncio.gather(*(one(number) for number in range(count)))
    open(os.path.join(directory, "ready"), "w").close()
    while not os.path.exists(os.path.join(directory, "stop")):
        await asyncio.sleep(0.1)
    kept = connections if context else connections[::2]
    outcomes = []
    for begin in range(0, len(kept), CONNECTING_MAX):
        some = kept[begin : begin + CONNECTING_MAX]
        outcomes += await asyncio.gather(*(ask(*connection) for connection in some), return_exceptions=True)
    print(sum(1 for outcome in outcomes if outcome is None))


def main():
    what, port, *rest = sys.argv[1:]
    port = int(port)
    if what == "trickle":
        work = patience(port, int(rest[0]), float(rest[1]), sys.stdin.buffer.read())
    elif what == "silent":
        work = patience(port, int(rest[0]), float(rest[1]))
    elif what == "deaf":
        work = deaf(port, rest[0], float(rest[1]))
    elif what == "http2-deaf":
        work = http2_deaf(port, rest[0], int(rest[1]), int(rest[2]), rest[3])
    elif what == "http2-stalled":
        work = http2_stalled(port, rest[0], int(rest[1]), float(rest[2]))
    elif what == "honest":
        work = honest(port, rest[0], rest[1], int(rest[2]))
    elif what == "honest-pull":
        work = honest_pull(port, rest[0], rest[1], int(rest[2]))
    elif what == "http2-head":
        work = http2_head(port, int(rest[0]))
    elif what == "idle":
        work = idle(port, int(rest[0]), *rest[1:])
    else:
        sys.exit(__doc__)
    asyncio.run(work)


main()
