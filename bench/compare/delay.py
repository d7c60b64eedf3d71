"""A delay line in user space between two TUN devices, for kernels without netem.

A TUN device hands whole IP packets to this process, which holds each for a while and puts it into the
other device. TCP at both ends is the kernel's own, so windows and congestion control are those of a
real link with that delay, without loss and with as much bandwidth as this process can copy.
"""

import fcntl
import os
import select
import struct
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
PACKET_SIZE_BYTES = 1 << 16
READS_AT_ONCE = 64
# The link is not what is measured: its process goes before all others.
NICENESS = -20


def open_device(name):
    """Makes a TUN device in this network namespace; gives its descriptor, which stays good when the device is moved."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def carry(left, right, delay_secs):
    """Carries packets both ways until the process is ended."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    waiting = {left: deque(), right: deque()}  # By where they go.
    poll = select.epoll()
    for descriptor in waiting:
        poll.register(descriptor, select.EPOLLIN)
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        for descriptor, _ in poll.poll(None if due is None else max(0, due - time.monotonic())):
            _take(descriptor, waiting[right if descriptor == left else left], delay_secs)
        now = time.monotonic()
        for descriptor, queue in waiting.items():
            while queue and queue[0][0] <= now:
                _give(descriptor, queue.popleft()[1])


def _take(descriptor, queue, delay_secs):
    for _ in range(READS_AT_ONCE):
        try:
            packet = os.read(descriptor, PACKET_SIZE_BYTES)
        except BlockingIOError:
            return
        queue.append((time.monotonic() + delay_secs, packet))


def _give(descriptor, packet):
    try:
        os.write(descriptor, packet)
    except OSError:
        pass  # What a full device drops, TCP sends again.
