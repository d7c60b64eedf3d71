"""Small requests beside large ones: the latencies are those of a manifest GET, the throughput is the large ones'."""

import contextlib

from . import crew, probe, process, push, warm
from .sample import of_crew
from .cold import drop_from_cache


class Finish:
    """Counts the members of a crew that have done their part, also those that failed at it."""

    def __init__(self, members):
        self._left = crew.shared_int(members)

    @contextlib.contextmanager
    def counted(self):
        """A member's part."""
        try:
            yield
        finally:
            with self._left.get_lock():
                self._left.value -= 1

    def awaited(self):
        """Whether some are still at work."""
        return self._left.value > 0


def run_beside(server, store, members, work):
    """Runs `members` clients and the probe beside them; gives the crew's outcome, the CPU seconds and the latencies."""
    finish = Finish(members)
    answer = store.answers["manifest-tag"]

    def client(number):
        connection = server.connect()
        if number == members:
            return lambda: probe.manifest_latencies(connection, answer, store.manifest, finish.awaited)

        def step():
            with finish.counted():
                return work(number, connection)
        return step

    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(members + 1, client)
    cpu = process.cpu_secs(server.pid) - cpu
    return outcome, cpu, outcome.results[-1]


def manifest_under_pushes(server, store):
    """A manifest while clients push a new large blob each."""
    clients = store.sizes.contention_pushes
    blobs = [store.large.new_blob() for _ in range(clients)]

    def work(number, connection):
        tail, digest = blobs[number]
        with open(store.large.path, "rb") as file:
            push.large_blob(connection, f"bench/contention-{number}", store.large, tail, digest, file)

    warm.touch(store.work, clients * store.large.size_bytes * 2)
    outcome, cpu, latencies = run_beside(server, store, clients, work)
    store.check_large(server, "bench/contention-0", blobs[0][1])
    for number, (_, digest) in enumerate(blobs):
        server.forget_blob(f"bench/contention-{number}", digest)
    return of_crew(outcome, clients, clients * store.large.size_bytes, cpu, latencies)


def manifest_under_cold_gets(server, store):
    """A manifest while clients fetch a large blob that is on the disk only."""
    clients = store.sizes.cold_clients
    drop_from_cache(server.blob_file("bench/large", store.large_digest))

    def work(_, connection):
        connection.get_large(store.large_path, store.large.size_bytes)

    outcome, cpu, latencies = run_beside(server, store, clients, work)
    store.check_large(server, "bench/large", store.large_digest)
    return of_crew(outcome, clients, clients * store.large.size_bytes, cpu, latencies)
