"""A large blob over the slow link, by HTTP/1.1 and by HTTP/2: do the flow-control windows keep the link full?

TCP needs some seconds until its own windows are as large as the link wants them, now more and now less.
So the blob goes twice over one connection, and the second time is measured.
"""

import os
import resource

from . import curl, process, push
from .sample import Sample

REPOSITORY = "bench/link"
TIMES = 2


class _Cost:
    """What the transfers of one connection cost the server and curl; half of it is a transfer's."""

    def __init__(self, server):
        self._server = server
        self._cpu, self._client = process.cpu_secs(server.pid), self._children()

    @staticmethod
    def _children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def sample(self, one, size_bytes):
        """Of the last transfer, without what came before its first byte was sent: handshakes, above all."""
        cpu = (process.cpu_secs(self._server.pid) - self._cpu) / TIMES
        secs = one["time_total"] - one["time_pretransfer"]
        return Sample(1, size_bytes, secs, cpu, (self._children() - self._client) / TIMES, secs * 1e6, secs * 1e6)


def push_blob(server, store, version):
    """PATCHes with a new blob, each into a session of its own; the rest of the push is not in the time."""
    tail, digest = store.link_blob.new_blob()
    path, heads = f"{store.work}/link-push", f"{store.work}/link-heads"
    store.link_blob.write_to(path, tail)
    connection = server.connect()
    locations = [push.begin(connection, REPOSITORY) for _ in range(TIMES)]
    cost = _Cost(server)
    *_, last = curl.transfers(
        server, ["--request", "PATCH", "--dump-header", heads, "--header", "Content-Type: application/octet-stream",
                 "--header", "Expect:"],
        [server.url + location for location in locations],
        {"http_code": 202, "size_upload": store.link_blob.size_bytes}, store.link.client, version,
        ["--upload-file", path])
    sample = cost.sample(last, store.link_blob.size_bytes)
    with open(heads, encoding="latin-1") as file:
        found = [line.split(":", 1)[1].strip() for line in file if line.lower().startswith("location:")]
    os.unlink(path)
    for location in found[:-1]:
        connection.request("DELETE", push.target(location, "PATCH"))
    push.finish(connection, push.target(found[-1] if found else None, "PATCH"), digest)
    connection.get_large(f"/v2/{REPOSITORY}/blobs/{digest}", store.link_blob.size_bytes, digest)
    connection.close()
    server.forget_blob(REPOSITORY, digest)
    return sample


def pull_blob(server, store, version):
    """GETs, after one without the delay whose digest is looked at."""
    target = f"/v2/{REPOSITORY}/blobs/{store.link_digest}"
    connection = server.connect()
    connection.get_large(target, store.link_blob.size_bytes, store.link_digest)
    connection.close()
    cost = _Cost(server)
    *_, last = curl.transfers(
        server, [], [server.url + target] * TIMES, {"http_code": 200, "size_download": store.link_blob.size_bytes},
        store.link.client, version)
    return cost.sample(last, store.link_blob.size_bytes)
