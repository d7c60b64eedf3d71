"""The cases that are measured round by round: what each does to a server."""

from dataclasses import dataclass
from typing import Callable

from . import contention, crew, distance, load, process, push, referrers, secure, warm
from .content import ACCEPT, digest_of, new_manifest
from .http1 import WrongAnswer
from .sample import of_crew


@dataclass(frozen=True)
class Case:
    """A name for --only, a row of the table, and the measurement `run(server, store)`."""

    key: str
    title: str
    run: Callable
    # Blobs are told in MB/s and CPU seconds per GB, small things in requests per second and CPU µs each.
    of_bytes: bool = False
    # Only for servers that take pushes.
    pushes: bool = False
    # How the servers are started for it: modes.py.
    mode: str = "plain"
    # Fewer rounds than the rest, where one takes long and says all.
    rounds: int | None = None


def push_large(server, store, clients):
    """So many clients push a new large blob each, at once."""
    blobs = [store.large.new_blob() for _ in range(clients)]

    def client(number):
        tail, digest = blobs[number]
        connection, file = server.connect(), open(store.large.path, "rb")
        return lambda: push.timed(lambda: push.large_blob(
            connection, f"bench/push-{number}", store.large, tail, digest, file))

    warm.touch(store.work, clients * store.large.size_bytes * 2)
    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(clients, client)
    cpu = process.cpu_secs(server.pid) - cpu
    store.check_large(server, "bench/push-0", blobs[0][1])
    for number, (_, digest) in enumerate(blobs):
        server.forget_blob(f"bench/push-{number}", digest)
    return of_crew(outcome, clients, clients * store.large.size_bytes, cpu, outcome.results)


def push_small(server, store):
    """Clients push new small blobs one after the other, three requests each."""
    sizes = store.sizes
    each = sizes.small_pushes // sizes.small_clients
    batches = [[store.small.new_blob() for _ in range(each)] for _ in range(sizes.small_clients)]
    batches = [[(store.small.whole(tail), digest) for tail, digest in batch] for batch in batches]

    def client(number):
        connection = server.connect()
        return lambda: [push.timed(lambda: push.small_blob(connection, "bench/small", data, digest))
                        for data, digest in batches[number]]

    return _pushed(server, client, "bench/small/blobs", batches)


def put_manifest(server, store):
    """Clients PUT new manifests under new tags."""
    sizes = store.sizes
    each = sizes.small_pushes // sizes.small_clients
    batches = [[new_manifest() for _ in range(each)] for _ in range(sizes.small_clients)]
    batches = [[(data, digest_of(data)) for data in batch] for batch in batches]

    def client(number):
        connection = server.connect()
        return lambda: [push.timed(lambda: push.manifest(connection, "bench/put", digest[7:47], data, digest))
                        for data, digest in batches[number]]

    return _pushed(server, client, "bench/put/manifests", batches)


def _pushed(server, client, place, batches):
    """One client a batch; the last of each batch must be there afterwards, byte for byte."""
    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(len(batches), client)
    cpu = process.cpu_secs(server.pid) - cpu
    connection = server.connect()
    for data, digest in (batch[-1] for batch in batches):
        answer = connection.request("GET", f"/v2/{place}/{digest}", (ACCEPT,))
        if answer.status != 200 or answer.body != data:
            raise WrongAnswer(f"{digest} was acknowledged, and now: {answer.status}, {len(answer.body)} bytes")
    connection.close()
    latencies = [latency for result in outcome.results for latency in result]
    size_bytes = sum(len(data) for batch in batches for data, _ in batch)
    return of_crew(outcome, len(latencies), size_bytes, cpu, latencies)


def get_large(server, store):
    """Clients fetch the large blob at once and throw it away."""
    sizes = store.sizes

    def client(_):
        connection = server.connect()
        return lambda: [push.timed(lambda: connection.get_large(store.large_path, sizes.large_bytes))
                        for _ in range(sizes.gets_each)]

    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(sizes.get_clients, client)
    cpu = process.cpu_secs(server.pid) - cpu
    latencies = [latency for result in outcome.results for latency in result]
    return of_crew(outcome, len(latencies), len(latencies) * store.large.size_bytes, cpu, latencies)


def _requests(key):
    return lambda server, store: load.requests(server, store.answers[key], store.sizes)


def all_cases(sizes):
    """The rows of the table, in their order."""
    large, small = _size(sizes.large_bytes), _size(sizes.small_bytes)
    tags, page, clients = sizes.tags, sizes.page, sizes.push_clients
    contention_pushes, cold_clients = sizes.contention_pushes, sizes.cold_clients
    return [
        Case("push-large", f"push one {large} blob", lambda s, t: push_large(s, t, 1), True, True),
        Case("push-large-many", f"push {clients} at once", lambda s, t: push_large(s, t, clients), True, True),
        Case("push-small", f"push {small} blobs", push_small, False, True),
        Case("put-manifest", "PUT manifest", put_manifest, False, True),
        Case("get-large", f"GET {large} blob, {sizes.get_clients} clients", get_large, True),
        Case("get-small", f"GET {small} blob", _requests("get-small")),
        Case("manifest-tag", "GET manifest by tag", _requests("manifest-tag")),
        Case("manifest-digest", "GET manifest by digest", _requests("manifest-digest")),
        Case("manifest-head", "HEAD manifest by tag", _requests("manifest-head")),
        Case("manifest-head-digest", "HEAD manifest by digest", _requests("manifest-head-digest")),
        Case("tags-page", f"tags?n={page} of {tags:,} (Distribution 2.8 answers all)", _requests("tags-page")),
        Case("catalog-page", f"catalog?n={page} of {sizes.repositories:,}", _requests("catalog-page")),
        Case("referrers", f"referrers of a subject with {sizes.referrers:,}", referrers.measure, False, True),
        Case("manifest-pushes", f"{contention_pushes} pushes of {large} at once; latency: GET manifest meanwhile",
             contention.manifest_under_pushes, True, True),
        Case("manifest-cold", f"GET {large} blob that is not in memory, {cold_clients} clients; latency: GET manifest "
             "meanwhile", contention.manifest_under_cold_gets, True),
        Case("tls-get-large", f"GET {large} blob over TLS 1.3, {sizes.get_clients} clients", secure.get_large, True,
             mode="tls"),
        *_over_the_link(_size(sizes.link_bytes)),
        Case("tags-big", f"tags?n={page} in the middle of {sizes.big_tags:,}",
             lambda s, t: t.big.measure_tags(s, t), mode="big"),
        Case("catalog-big", f"catalog?n={page} in the middle of {sizes.big_repositories:,}",
             lambda s, t: t.big.measure_catalog(s, t), mode="big"),
    ]


def _over_the_link(size):
    """By both protocols, one after the other."""
    for verb, run, pushes in (("push", distance.push_blob, True), ("pull", distance.pull_blob, False)):
        for name, version in (("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2")):
            yield Case(f"link-{verb}-{version.removeprefix('--')}", f"{verb} {size}, {name} over TLS, 100 ms away",
                       lambda s, t, run=run, version=version: run(s, t, version), True, pushes, "link", 1)


def _size(size_bytes):
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"
