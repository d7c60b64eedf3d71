"""Memory that is there.

A virtual machine gives free memory back to its host, Linux after two seconds, and whoever touches it
next waits for the host to provide it again: the kernel's copy into the page cache was seen to take four
times as long, on the CPU time of the server that wrote. Which server that is, is chance.
"""

import os

PIECE_BYTES = 1 << 20


def touch(directory, size_bytes):
    """Has the kernel use so much memory for its page cache, and free it again, just before it is needed."""
    path = f"{directory}/touched"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.unlink(path)
        # Without content, so that no disk is asked.
        os.truncate(descriptor, size_bytes)
        buffer = bytearray(PIECE_BYTES)
        for offset in range(0, size_bytes, PIECE_BYTES):
            os.preadv(descriptor, [buffer], offset)
    finally:
        os.close(descriptor)
