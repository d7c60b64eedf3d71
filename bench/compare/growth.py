"""The command line of bench/growth: what time and memory become when a store grows."""

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import time

from . import memory, process, push, referrers, servers
from .content import ACCEPT, Source, digest_of, image_manifest
from .growth_stores import APP, KINDS, Growing
from .http1 import WrongAnswer, expect
from .modes import Mode
from .rounds import say
from .sample import percentile
from .workspace import workspace

MIN, MAX, FACTOR = 1000, 1_000_000, 10
WARM_REQUESTS = 20
STARTS = 5
SMALL_BYTES = 10 * 1024
# Of the disk and of its inodes, what a store may take.
FREE_SHARE_MAX = 0.8
START_MARK_MS, START_MARK_BLOBS = 30, 1_000_000

COLUMNS = ("start, ms", "resident, MiB", "manifest, first", "warm", "tags page, first", "warm",
           "catalog page, first", "warm", "referrers, first", "warm", "push of 10 KiB", "delete by digest, first", "warm",
           "resident after, MiB")


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/growth", description="Time and memory of stores of growing size.")
    parser.add_argument("--max", type=int, default=MAX, metavar="N", help=f"the largest store (default {MAX})")
    parser.add_argument("--only", action="append", choices=KINDS, help="one kind of store; may be repeated")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH",
                        help="also a program that is started as PATH serve CONFIG with Distribution's configuration")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave wharf out")
    parser.add_argument("--data", metavar="DIR", help="where the stores are written (a new directory in it)")
    return parser.parse_args()


def counts(largest):
    """10³, 10⁴, … up to the largest."""
    count = MIN
    while count <= largest:
        yield count
        count *= FACTOR


def fits(kind, count, directory):
    """Why such a store is too much for the disk, or None."""
    disk = os.statvfs(directory)
    for name, needed, free in (("bytes", count * kind.each_bytes, disk.f_bavail * disk.f_frsize),
                               ("inodes", count * kind.each_inodes, disk.f_favail or sys.maxsize)):
        if needed > free * FREE_SHARE_MAX:
            return f"{needed:,} {name} are needed and {free:,} are free"
    return None


def timed(server, answer):
    """Milliseconds of the first request on a new connection, and the median of those after it; all are checked."""
    connection = server.connect()
    times = [push.timed(lambda: answer.check(connection)) / 1e3 for _ in range(1 + WARM_REQUESTS)]
    connection.close()
    return times[0], percentile(times[1:], 50)


class ManifestByTag:
    """GET of the image's manifest."""

    def __init__(self, manifest):
        self.manifest = manifest

    def check(self, connection):
        """Byte for byte."""
        answer = connection.request("GET", f"/v2/{APP}/manifests/latest", (ACCEPT,))
        if answer.status != 200 or answer.body != self.manifest:
            raise WrongAnswer(f"GET manifest: {answer.status}, {len(answer.body)} bytes")


def pushed(server, source):
    """The median milliseconds of a push of a new small blob; the last is read back."""
    connection, times = server.connect(), []
    for _ in range(WARM_REQUESTS):
        tail, digest = source.new_blob()
        data = source.whole(tail)
        times.append(push.timed(lambda d=data, n=digest: push.small_blob(connection, APP, d, n)) / 1e3)
    answer = connection.request("GET", f"/v2/{APP}/blobs/{digest}")
    if answer.status != 200 or answer.body != data:
        raise WrongAnswer(f"{digest} was acknowledged, and now: {answer.status}, {len(answer.body)} bytes")
    connection.close()
    return percentile(times, 50)


def deleted(server):
    """Milliseconds of the first deletion of a manifest by its digest, and the median of those after it. Each has a
    tag, which must be gone then, and the others must not."""
    connection = server.connect()
    doomed = []
    for number in range(1 + WARM_REQUESTS):
        data = image_manifest(f"doomed-{number}")
        tag, digest = f"doomed-{number}", digest_of(data)
        push.manifest(connection, APP, tag, data, digest)
        doomed.append((tag, digest))

    def delete(digest):
        expect(connection.request("DELETE", f"/v2/{APP}/manifests/{digest}"), 202, "DELETE manifest")

    def served(tag):
        return connection.request("GET", f"/v2/{APP}/manifests/{tag}", (ACCEPT,)).status

    times = []
    for tag, digest in doomed:
        times.append(push.timed(lambda d=digest: delete(d)) / 1e3)
        if served(tag) != 404 or served("latest") != 200:
            raise WrongAnswer(f"after DELETE of {digest}: {tag} is {served(tag)}, latest {served('latest')}")
    connection.close()
    return times[0], percentile(times[1:], 50)


def measure(server, store, source):
    """One row: the columns after the name and the number."""
    mode = Mode("growth", volume=store.volume.root)
    starts = []
    for _ in range(STARTS):
        server.stop()
        starts.append(server.start(mode) * 1e3)
    time.sleep(memory.IDLE_SECS)
    row = [percentile(starts, 50), process.resident_kib(server.pid) / 1024]
    row += timed(server, ManifestByTag(store.manifest))
    row += timed(server, store.tags_page())
    row += timed(server, store.catalog_page())
    connection = server.connect()
    # Asked of another repository, so that the first request for this one is the first.
    offered = connection.request("GET", f"/v2/bench/nobody/referrers/{referrers.NOBODY}").status != 404
    connection.close()
    row += timed(server, store.referrers()) if offered else [None, None]
    row.append(pushed(server, source))
    row += deleted(server)
    return [*row, process.resident_kib(server.pid) / 1024]


class Growth:
    """All stores, one after the other, and every server on each of them."""

    def __init__(self, work, found):
        self.work, self.servers = work, found
        self.source = Source(f"{work}/small", SMALL_BYTES)
        self.remarks, self.start_mark = [], "not measured"
        self.failed = False

    def table(self, kind, largest):
        """A table in Markdown for one kind of store."""
        rows = ["", f"| {kind.title} | | " + " | ".join(COLUMNS) + " |", "| ---: | --- |" + " ---: |" * len(COLUMNS)]
        for count in counts(largest):
            if reason := fits(kind, count, self.work):
                self.remarks.append(f"NOT MEASURED: {count:,} {kind.title}: {reason}")
                continue
            say(f"writing {count:,} {kind.title}")
            root = f"{self.work}/store"
            try:
                store = Growing(root)
                kind.add(store, count)
                for server in self.servers:
                    rows += self._row(server, store, kind, count)
            finally:
                shutil.rmtree(root, ignore_errors=True)
        return rows

    def _row(self, server, store, kind, count):
        try:
            row = measure(server, store, self.source)
        except (WrongAnswer, RuntimeError, OSError, ValueError) as error:
            self.remarks.append(f"WRONG: {server.name}, {count:,} {kind.title}: {error}")
            say(self.remarks[-1])
            self.failed = True
            return []
        finally:
            server.stop()
        if kind is KINDS["blobs"] and count >= START_MARK_BLOBS and server is self.servers[0]:
            self.start_mark = f"{row[0]:.0f} ms, {'met' if row[0] <= START_MARK_MS else 'not met'}"
        cells = ["" if value is None else f"{value:.3g}" for value in row]
        say(f"{server.name}, {count:,} {kind.title}: start {cells[0]} ms, {cells[1]} MiB")
        return [f"| {count:,} | {server.name} | " + " | ".join(cells) + " |"]


def build_servers(args, work):
    """wharf, and what else was named."""
    wanted = [] if "wharf" in args.without else [("wharf", os.environ.get("WHARF_BIN", "wharf"))]
    wanted += [tuple(text.split("=", 1)) for text in args.program]
    found = []
    for name, path in wanted:
        binary = shutil.which(path)
        if not binary:
            sys.exit(f"bench: {name}: no program {path}")
        found.append(servers.Registry(name, os.path.abspath(binary), f"{work}/{name}"))
    return found


def run(args, work):
    """Everything; gives the process's exit code."""
    found = build_servers(args, work)
    growth = Growth(work, found)
    filesystem = subprocess.run(["stat", "-f", "-c", "%T", work], capture_output=True, text=True, check=False)
    print(f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, Linux {platform.release()}, data on "
          f"{filesystem.stdout.strip()}; `bench/growth`; requests in ms, 'first' on a new connection, "
          f"'warm' the median of {WARM_REQUESTS} after it\n")
    for server in found:
        print(f"- {server.name}: {server.version}")
    try:
        for name, kind in KINDS.items():
            if not args.only or name in args.only:
                print("\n".join(growth.table(kind, args.max)), flush=True)
    finally:
        for server in found:
            server.stop()
    print(f"\n- first answer after exec on a million blobs, at most {START_MARK_MS} ms: {growth.start_mark}")
    for remark in growth.remarks:
        print(f"- {remark}")
    return 1 if growth.failed else 0


def main():
    """Runs in a new directory."""
    args = arguments()
    with workspace("wharf-growth.", args.data) as work:
        return run(args, work)


if __name__ == "__main__":
    sys.exit(main())
