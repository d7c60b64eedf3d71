"""Resident memory: idle, after the run, and while many clients push; and the time from exec to the first answer."""

import time

from . import crew, process, push
from .sample import percentile

IDLE_SECS = 2
# After the load: longer than idle threads are kept, ten seconds in wharf's runtime.
REST_SECS = 12


def idle_kib(server):
    """What is resident some seconds after the first answered request."""
    time.sleep(IDLE_SECS)
    return process.resident_kib(server.pid)


def under_pushes(server, store):
    """The peak while clients push a new large blob each, all at once, and the highest sample of each quarter."""
    clients = store.sizes.memory_clients
    blobs = [store.large.new_blob() for _ in range(clients)]

    def client(number):
        tail, digest = blobs[number]
        connection, file = server.connect(), open(store.large.path, "rb")
        return lambda: push.large_blob(connection, f"bench/memory-{number}", store.large, tail, digest, file)

    with process.PeakWatch(server.pid) as watch:
        outcome = crew.run(clients, client)
    for number, (_, digest) in enumerate(blobs):
        server.forget_blob(f"bench/memory-{number}", digest)
    return {
        "peak_kib": watch.peak_kib,
        "quarters_kib": watch.quarters_kib(),
        "megabytes_per_sec": clients * store.large.size_bytes / outcome.wall_secs / 1e6,
    }


def start_millis(server, starts):
    """The median, over a filled store, of the milliseconds from exec to the first answered request."""
    times = []
    for _ in range(starts):
        server.stop()
        times.append(server.start() * 1e3)
    return percentile(times, 50)
