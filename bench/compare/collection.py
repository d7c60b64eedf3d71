"""The command line of bench/collection: what one garbage collection of a large store takes."""

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from . import configs, crew, process, servers
from .collection_store import MANIFESTS_IN_REPOSITORY, Store, image, name_of
from .content import ACCEPT
from .growth import FREE_SHARE_MAX
from .http1 import WrongAnswer
from .modes import Mode
from .rounds import say
from .sample import percentile
from .workspace import workspace

MIN, MAX, FACTOR = 10_000, 1_000_000, 10
# The pulls beside a collection: one client that asks so many times in a second.
PULLS_PER_SEC = 200
IDLE_SECS = 10
LIMIT_SECS = 1800
MARK_SECS, MARK_MIB, MARK_TIMES = 60, 128, 2

COLUMNS = "| blobs | manifests | collector | s | CPU s | peak, MiB | pulls idle, p50 ms | p99 | meanwhile, p50 | p99 |"


@dataclass
class Took:
    """What a collection took; pulls are (p50, p99) in milliseconds."""

    secs: float
    cpu_secs: float
    peak_mib: float
    idle: tuple = ()
    meanwhile: tuple = ()


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/collection", description="Time and memory of one garbage collection.")
    parser.add_argument("--max", type=int, default=MAX, metavar="N", help=f"the largest store (default {MAX})")
    parser.add_argument("--min", type=int, default=MIN, metavar="N", help=f"the smallest store (default {MIN})")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH",
                        help="also a program whose collector is started as PATH garbage-collect CONFIG")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave wharf out")
    parser.add_argument("--data", metavar="DIR", help="where the stores are written (a new directory in it)")
    parser.add_argument("--sparse", action="store_true", help="the disk has smaller blocks, or keeps small files in "
                        "inodes: look for the inodes alone before a store is written")
    parser.add_argument("--keep", metavar="DIR", help="write the largest store there, and leave it")
    return parser.parse_args()


def counts(smallest, largest):
    """The sizes, each ten times the one before it, the last being the largest."""
    count = min(smallest, largest)
    while count < largest:
        yield count
        count *= FACTOR
    yield largest


def configuration(home, volume, gc=""):
    """A configuration for a registry's commands and servers."""
    path = f"{home}/collection.yml"
    text = configs.registry(configs.Place(home, volume, "127.0.0.1", servers.free_port()))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("  maintenance:\n", f"  maintenance:\n{gc}"))
    return path


def by_command(binary, home, store):
    """A collection by a program's command, with nothing else running."""
    config = configuration(home, store.root)
    environment = {"PATH": os.environ["PATH"], "HOME": home, "OTEL_TRACES_EXPORTER": "none"}
    began = time.monotonic()
    with open(f"{home}/collect.log", "wb") as log:
        # pylint: disable=consider-using-with
        running = subprocess.Popen([binary, "garbage-collect", config], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=log, env=environment)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"{binary} garbage-collect: exit code {running.returncode}, see {home}/collect.log")
    return Took(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def pulls(server, store, is_over):
    """Milliseconds of manifests that one client asks for at a steady rate, from here and there, until it is over."""
    chance = random.Random(0)

    def client(_):
        connection = server.connect()

        def step():
            times, due = [], time.monotonic()
            while not is_over():
                due += 1 / PULLS_PER_SEC
                time.sleep(max(0, due - time.monotonic()))
                repository = chance.randrange(store.repositories)
                number = chance.randrange(MANIFESTS_IN_REPOSITORY)
                began = time.monotonic()
                answer = connection.request("GET", f"/v2/{name_of(repository)}/manifests/v{number}", (ACCEPT,))
                times.append((time.monotonic() - began) * 1e3)
                if answer.status != 200 or answer.body != image(repository, number)[1]:
                    raise WrongAnswer(f"GET manifest {number} of {name_of(repository)}: {answer.status}")
            connection.close()
            return times
        return step

    times = crew.run(1, client).results[0]
    return percentile(times, 50), percentile(times, 99)


class Collecting(servers.Registry):
    """wharf, with or without its collector."""

    def __init__(self, name, binary, home):
        super().__init__(name, binary, home)
        plain, self.gc = self._configure, ""
        self._configure = lambda place: plain(place).replace("  maintenance:\n", f"  maintenance:\n{self.gc}")


def by_server(server, store):
    """A collection by a server that is asked for manifests, before and meanwhile."""
    mode = Mode("collection", volume=store.root)
    server.gc = ""
    server.start(mode)
    until = time.monotonic() + 2 * IDLE_SECS
    pulls(server, store, lambda: time.monotonic() > until - IDLE_SECS)
    idle = pulls(server, store, lambda: time.monotonic() > until)
    server.stop()

    last = f"{store.root}/wharf/v1/collection/last"
    if os.path.exists(last):
        os.remove(last)
    server.gc = "    gc: {enabled: true, interval: 1s, grace: 1h}\n"
    server.start(mode)
    before, until = process.cpu_secs(server.pid), time.monotonic() + LIMIT_SECS
    with process.PeakWatch(server.pid) as watch:
        meanwhile = pulls(server, store, lambda: os.path.exists(last) or time.monotonic() > until)
    cpu_secs = process.cpu_secs(server.pid) - before
    server.stop()
    with open(last, encoding="utf-8") as file:
        report = json.load(file)
    return Took(report["seconds"], cpu_secs, watch.peak_kib / 1024, idle, meanwhile)


class Bench:
    """All sizes, one after the other, and every collector on each."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.remarks, self.failed = [], False
        self.mark = "not measured"

    def rows(self, count, root):
        """The rows of one size."""
        store = Store(root, count)
        if reason := self._does_not_fit(store):
            self.remarks.append(f"NOT MEASURED: {count:,} blobs: {reason}")
            return
        say(f"writing {store.blobs:,} blobs and {store.manifests:,} manifests")
        began = time.monotonic()
        store.write()
        say(f"written in {time.monotonic() - began:.0f} s")
        for name, collect in self._collectors():
            store.litter()
            try:
                took = collect(store)
                self._judge(store)
            except (WrongAnswer, RuntimeError, OSError, ValueError) as error:
                self.remarks.append(f"WRONG: {name}, {count:,} blobs: {error}")
                say(self.remarks[-1])
                self.failed = True
                continue
            if name == "wharf, server" and store.blobs >= MAX:
                met = took.secs <= MARK_SECS and took.peak_mib <= MARK_MIB and \
                    took.meanwhile[1] <= MARK_TIMES * took.idle[1]
                self.mark = f"{took.secs:.0f} s, {took.peak_mib:.0f} MiB, {took.meanwhile[1] / took.idle[1]:.1f} " \
                            f"times, {'met' if met else 'not met'}"
            cells = [took.secs, took.cpu_secs, took.peak_mib, *(took.idle or ("", "")), *(took.meanwhile or ("", ""))]
            cells = [f"{cell:.3g}" if isinstance(cell, float) else cell for cell in cells]
            yield f"| {store.blobs:,} | {store.manifests:,} | {name} | " + " | ".join(cells) + " |"

    def _does_not_fit(self, store):
        disk = os.statvfs(self.work)
        size_bytes, inodes = store.takes()
        if self.args.sparse:
            size_bytes = 0
        for what, needed, free in (("bytes", size_bytes, disk.f_bavail * disk.f_frsize),
                                   ("inodes", inodes, disk.f_favail or sys.maxsize)):
            if needed > free * FREE_SHARE_MAX:
                return f"{needed:,.0f} {what} are needed and {free:,} are free"
        return None

    @staticmethod
    def _judge(store):
        left, lost = store.left(), store.lost()
        if left or lost:
            raise WrongAnswer(f"{left} of {store.garbage} are left, and {lost} are lost")

    def _collectors(self):
        """What is measured; Distribution last, which leaves more behind."""
        if "wharf" not in self.args.without:
            binary = os.path.abspath(shutil.which(os.environ.get("WHARF_BIN", "wharf")) or sys.exit("bench: no wharf"))
            server = Collecting("wharf", binary, f"{self.work}/wharf")
            yield "wharf, server", lambda store: self._and_stop(server, store)
            yield "wharf, command", lambda store: by_command(binary, server.home, store)
        for text in self.args.program:
            name, _, path = text.partition("=")
            binary = os.path.abspath(shutil.which(path) or sys.exit(f"bench: {name}: no program {path}"))
            home = f"{self.work}/{name}"
            os.makedirs(home, exist_ok=True)
            yield f"{name}, command", lambda store, binary=binary, home=home: by_command(binary, home, store)

    @staticmethod
    def _and_stop(server, store):
        try:
            return by_server(server, store)
        finally:
            server.stop()


def run(args, work):
    """Everything; gives the process's exit code."""
    bench = Bench(args, work)
    filesystem = subprocess.run(["stat", "-f", "-c", "%T", work], capture_output=True, text=True, check=False)
    print(f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, Linux {platform.release()}, data on "
          f"{filesystem.stdout.strip()}; `bench/collection`; a tenth of the blobs is garbage; pulls of manifests by tag, "
          f"{PULLS_PER_SEC} in a second\n")
    print(COLUMNS)
    print("| ---: | ---: | --- |" + " ---: |" * (COLUMNS.count("|") - 4), flush=True)
    for count in counts(args.min, args.max):
        root = args.keep if args.keep and count == args.max else f"{work}/store"
        try:
            for row in bench.rows(count, root):
                print(row, flush=True)
        finally:
            if root != args.keep:
                shutil.rmtree(root, ignore_errors=True)
    print(f"\n- a million blobs by the server, in at most {MARK_SECS} s and {MARK_MIB} MiB, with the p99 of pulls at most "
          f"{MARK_TIMES} times: {bench.mark}")
    for remark in bench.remarks:
        print(f"- {remark}")
    return 1 if bench.failed else 0


def main():
    """Runs in a new directory."""
    args = arguments()
    with workspace("wharf-collection.", args.data) as work:
        return run(args, work)


if __name__ == "__main__":
    sys.exit(main())
