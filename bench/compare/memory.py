"""Resident memory: idle, after the run, and under load; and the time from exec to the first answer."""

import time

from . import crew, process, push
from .contention import Finish
from .sample import percentile

# From the last start to the reading of what is resident when idle.
IDLE_SECS = 2


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


def under_pushes_and_pulls(server, store):
    """The peak while as many clients push a new large blob each as fetch the same one, over and over, meanwhile.

    A pushed blob is checked and forgotten by its client as soon as it is acknowledged, for the disk's sake.
    """
    clients = store.sizes.mixed_clients
    blobs = [store.large.new_blob() for _ in range(clients)]
    finish = Finish(clients)

    def pusher(number):
        tail, digest = blobs[number]
        connection, file = server.connect(), open(store.large.path, "rb")

        def step():
            repository = f"bench/mixed-{number}"
            with finish.counted():
                push.large_blob(connection, repository, store.large, tail, digest, file)
            # Hashing all of them would take the processors from the rest: one is looked at.
            expected = digest if number == 0 else None
            connection.get_large(f"/v2/{repository}/blobs/{digest}", store.large.size_bytes, expected)
            server.forget_blob(repository, digest)
            return 1
        return step

    def puller(_):
        connection = server.connect()

        def step():
            count = 0
            while finish.awaited() or not count:
                connection.get_large(store.large_path, store.large.size_bytes)
                count += 1
            return count
        return step

    with process.PeakWatch(server.pid) as watch:
        outcome = crew.run(2 * clients, lambda number: (pusher if number < clients else puller)(number))
    return {
        "mixed_peak_kib": watch.peak_kib,
        "mixed_megabytes_per_sec": sum(outcome.results) * store.large.size_bytes / outcome.wall_secs / 1e6,
    }


def start_millis(server, starts):
    """The median, over a filled store, of the milliseconds from exec to the first answered request."""
    times = []
    for _ in range(starts):
        server.stop()
        times.append(server.start() * 1e3)
    return percentile(times, 50)
