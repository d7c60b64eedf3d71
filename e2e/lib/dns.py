#!/usr/bin/env python3
"""A name server for one name: dns.py PORT NAME ADDRESS..., on 127.0.0.1. All other names do not exist.

Answers are given with a time to live of one second.
"""

import socket
import struct
import sys

TTL_SECS = 1


def question(packet):
    """The name that is asked for in small letters, the type, and where the question ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace").lower())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack_from("!H", packet, at + 1)[0], at + 5


def answer(packet, name, addresses):
    asked, kind, end = question(packet)
    found = addresses if asked == name and kind == 1 else []
    code = 0 if asked == name else 3
    head = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, TTL_SECS, 4) + socket.inet_aton(address) for address in found
    )
    return head + packet[12:end] + records


def main(port, name, *addresses):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", int(port)))
    while True:
        packet, client = server.recvfrom(512)
        try:
            server.sendto(answer(packet, name.lower(), addresses), client)
        except (IndexError, struct.error):
            continue


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
