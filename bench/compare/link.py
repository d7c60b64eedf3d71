"""Two network namespaces joined by a link with a long round trip: netem where the kernel has it, else a delay line."""

import multiprocessing
import os
import shutil
import socket
import subprocess
import time

from . import delay, netns

ROUND_TRIP_SECS = 0.1
# What a measured round trip may deviate by before the link does not count.
TOLERANCE_SECS = 0.03
MEASUREMENTS = 5
NETWORK = "10.123.8.0/24"
SERVER_ADDRESS, CLIENT_ADDRESS = "10.123.8.1", "10.123.8.2"
# Jumbo frames: the delay line's work on each does not matter, and TCP's first window holds some of them.
MTU_BYTES = 9000
QUEUE_PACKETS = 100_000


class Unavailable(Exception):
    """There is no such link on this machine, and why."""


class Link:
    """Open between `open` and `close`; `server` and `client` are the namespaces' names."""

    def __init__(self):
        self.server, self.client = f"wharf-bench-{os.getpid()}-s", f"wharf-bench-{os.getpid()}-c"
        self.how = ""
        self._carrier = None
        self._descriptors = []

    def open(self):
        """Makes the link and measures it; raises Unavailable."""
        if os.getuid() != 0:
            raise Unavailable("network namespaces need root")
        for program in ("ip", "tc", "curl"):
            if not shutil.which(program):
                raise Unavailable(f"{program} is not on this machine")
        try:
            for namespace in (self.server, self.client):
                _ip("netns", "add", namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            try:
                self._join_by_netem()
                self.how = "tc netem"
            except Unavailable as no_netem:
                self._join_by_delay_line()
                self.how = f"a delay line of our own, for there is no netem ({no_netem})"
            self._measure()
        except (Unavailable, OSError) as error:
            self.close()
            raise Unavailable(str(error)) from error
        return self

    def close(self):
        """Takes all away again; what runs in a namespace must have ended."""
        if self._carrier:
            self._carrier.kill()
            self._carrier.join()
            self._carrier = None
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        for namespace in (self.server, self.client):
            if os.path.exists(f"/run/netns/{namespace}"):
                subprocess.run(["ip", "netns", "del", namespace], check=False)

    def _ends(self):
        return ((self.server, "link0", SERVER_ADDRESS), (self.client, "link1", CLIENT_ADDRESS))

    def _join_by_netem(self):
        _ip("link", "add", "link0", "netns", self.server, "mtu", str(MTU_BYTES), "type", "veth",
            "peer", "name", "link1", "netns", self.client, "mtu", str(MTU_BYTES))
        try:
            for namespace, device, address in self._ends():
                _run("tc", "-n", namespace, "qdisc", "add", "dev", device, "root", "netem",
                     "delay", f"{ROUND_TRIP_SECS * 500:.0f}ms", "limit", str(QUEUE_PACKETS))
                self._set_up(namespace, device, address)
        except Unavailable:
            _ip("-n", self.server, "link", "del", "link0")
            raise

    def _join_by_delay_line(self):
        for namespace, device, address in self._ends():
            ours = f"wb{os.getpid()}{device[-1]}"
            self._descriptors.append(delay.open_device(ours))
            _ip("link", "set", ours, "name", device, "netns", namespace)
            _ip("-n", namespace, "link", "set", device, "mtu", str(MTU_BYTES), "txqueuelen", str(QUEUE_PACKETS))
            self._set_up(namespace, device, address)
        self._carrier = multiprocessing.get_context("fork").Process(
            target=delay.carry, args=(*self._descriptors, ROUND_TRIP_SECS / 2), daemon=True)
        self._carrier.start()

    @staticmethod
    def _set_up(namespace, device, address):
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
        _ip("-n", namespace, "link", "set", device, "up")
        # What most hosts have, whatever this one's default is.
        _ip("-n", namespace, "route", "replace", NETWORK, "dev", device, "congctl", "cubic")

    def _measure(self):
        """Connecting takes one round trip: it must be as long as it is said to be."""
        with netns.inside(self.server):
            listener = socket.create_server((SERVER_ADDRESS, 0))
        took = float("inf")
        with listener, netns.inside(self.client):
            for _ in range(MEASUREMENTS):
                started = time.monotonic()
                socket.create_connection(listener.getsockname(), 10).close()
                took = min(took, time.monotonic() - started)
        if abs(took - ROUND_TRIP_SECS) > TOLERANCE_SECS:
            raise Unavailable(f"the round trip is {took * 1e3:.0f} ms, not {ROUND_TRIP_SECS * 1e3:.0f}")


def _run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{command[0]}: {(done.stderr or done.stdout).strip()[:200]}")


def _ip(*arguments):
    _run("ip", *arguments)
