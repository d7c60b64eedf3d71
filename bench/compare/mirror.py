"""The command line of bench/mirror: a mirror beside its upstream."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

from . import configs, process, servers
from .http1 import WrongAnswer
from .rounds import say
from .workspace import workspace

REPOSITORY = "bench"
MARK_SHARE, MARK_FIRST_BYTE_SECS, MARK_TIMES, MARK_MIB = 0.9, 0.005, 1.5, 64
LIMIT_SECS = 1800
# From the last byte of a miss until the blob is in the store.
CACHED_LIMIT_SECS = 60
# What CPU time is counted in.
TICK_SECS = 1 / process.TICKS_PER_SEC


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/mirror", description="A mirror beside its upstream.")
    parser.add_argument("--mib", type=int, default=1024, metavar="N", help="size of the blob (default 1024)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured (default 5)")
    parser.add_argument("--clients", type=int, default=100, metavar="N", help="on one cold blob (default 100)")
    parser.add_argument("--link", type=int, default=12, metavar="MB/S",
                        help="what the upstream gives a connection then (default 12: 100 Mbit/s)")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH",
                        help="also a registry of Distribution's kind, started as PATH serve CONFIG")
    parser.add_argument("--data", metavar="DIR", help="where the stores are written (a new directory in it)")
    return parser.parse_args()


class Upstream(servers.Nginx):
    """nginx over one blob, which logs what it is asked for and may be slow."""

    def __init__(self, home, volume, rate_mb):
        binary = shutil.which("nginx")
        super().__init__("upstream", binary, home, volume, sendfile=True)
        self.access_log = f"{home}/access.log"
        limit = f" limit_rate {rate_mb}m;" if rate_mb else ""
        self._configure = lambda place: configs.nginx(place, True).replace(
            "access_log off;", f"access_log {self.access_log};{limit}")

    def downloads(self):
        """How often the blob was asked for."""
        with open(self.access_log, encoding="ascii", errors="replace") as log:
            return sum('"GET ' in line and "/blobs/" in line for line in log)


class Mirror(servers.Registry):
    """A registry in front of an upstream, or one that is asked for what was pushed, when there is none."""

    def __init__(self, name, binary, home, upstream=None):
        super().__init__(name, binary, home)
        plain = self._configure
        proxy = f"proxy:\n  remoteurl: {upstream.url}\n" if upstream else ""
        self._configure = lambda place: plain(place) + proxy


def get(url, clients=1):
    """Downloads it, many times at once if that is wanted; (first byte, total) in seconds for each."""
    command = ["curl", "-q", "-sS", "--fail", "--max-time", str(LIMIT_SECS), "--noproxy", "*",
               "--write-out", "%{json}\n"]
    if clients > 1:
        command += ["--parallel", "--parallel-immediate", "--parallel-max", str(clients)]
    for _ in range(clients):
        command += ["--output", "/dev/null", url]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=LIMIT_SECS + 10)
    if done.returncode != 0:
        raise WrongAnswer(f"curl {url}: {done.stderr.strip()[:300]}")
    measured = [json.loads(line) for line in done.stdout.splitlines() if line]
    return [(one["time_starttransfer"], one["time_total"], one["size_download"]) for one in measured]


class Bench:
    """What is measured, of wharf and of others."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.size_bytes = args.mib << 20
        files = f"{work}/files/v2/{REPOSITORY}/blobs"
        os.makedirs(files)
        self.digest = self._write_blob(files)
        self.path = f"/v2/{REPOSITORY}/blobs/{self.digest}"
        self.files = f"{work}/files"
        self.homes = 0
        self.marks = []

    def _write_blob(self, files):
        digest = hashlib.sha256()
        with open(f"{files}/new", "wb") as blob:
            for _ in range(self.args.mib):
                piece = os.urandom(1 << 20)
                digest.update(piece)
                blob.write(piece)
        name = f"sha256:{digest.hexdigest()}"
        os.rename(f"{files}/new", f"{files}/{name}")
        return name

    def _home(self):
        self.homes += 1
        home = f"{self.work}/home{self.homes}"
        os.makedirs(home)
        return home

    def programs(self):
        """wharf, and what was named."""
        yield "wharf", os.path.abspath(shutil.which(os.environ.get("WHARF_BIN", "wharf")) or sys.exit("bench: no wharf"))
        for text in self.args.program:
            name, _, path = text.partition("=")
            yield name, os.path.abspath(shutil.which(path) or sys.exit(f"bench: {name}: no program {path}"))

    def _checked(self, url, clients=1):
        times = get(url, clients)
        if any(size != self.size_bytes for _, _, size in times):
            raise WrongAnswer(f"{url}: {times}")
        return times

    def misses(self):
        """A miss next to a direct download, in turns."""
        upstream = Upstream(self._home(), self.files, None)
        upstream.start()
        try:
            self._checked(upstream.url + self.path)
            direct, through = [], {name: [] for name, _ in self.programs()}
            for _ in range(self.args.rounds):
                direct += self._checked(upstream.url + self.path)
                for name, binary in self.programs():
                    through[name] += self._once_cold(name, binary, upstream)
        finally:
            upstream.stop()
        yield self._row("direct", direct)
        for name, times in through.items():
            yield self._row(name, times)
        share = self._speed(through["wharf"]) / self._speed(direct)
        later = self._first_byte(through["wharf"]) - self._first_byte(direct)
        self.marks.append((f"a miss at {share:.0%} of a direct download (mark {MARK_SHARE:.0%})", share >= MARK_SHARE))
        self.marks.append((f"its first byte {later * 1e3:.1f} ms later (mark {MARK_FIRST_BYTE_SECS * 1e3:.0f} ms)",
                           later <= MARK_FIRST_BYTE_SECS))

    def _once_cold(self, name, binary, upstream):
        mirror = Mirror(name, binary, self._home(), upstream)
        mirror.start()
        try:
            return self._checked(mirror.url + self.path)
        finally:
            mirror.stop()
            shutil.rmtree(mirror.home, ignore_errors=True)

    def _speed(self, times):
        return self.size_bytes / statistics.median(total for _, total, _ in times) / 1e6

    @staticmethod
    def _first_byte(times):
        return statistics.median(first for first, _, _ in times)

    def _row(self, name, times):
        return f"| {name} | {self._speed(times):,.0f} | {self._first_byte(times) * 1e3:.1f} |"

    def hits(self):
        """A hit next to a blob of the same server that was pushed: megabytes in a second and CPU for a GB."""
        upstream = Upstream(self._home(), self.files, None)
        upstream.start()
        _, binary = next(iter(self.programs()))
        mirror, plain = Mirror("wharf", binary, self._home(), upstream), Mirror("wharf", binary, self._home())
        try:
            mirror.start()
            plain.start()
            self._checked(mirror.url + self.path)
            self._await_cached(mirror)
            shutil.copytree(mirror.volume, plain.volume, dirs_exist_ok=True)
            taken = {}
            for _ in range(self.args.rounds):
                for name, server in (("a hit", mirror), ("a local blob", plain)):
                    before = process.cpu_secs(server.pid)
                    times = self._checked(server.url + self.path)
                    cpu = process.cpu_secs(server.pid) - before
                    taken.setdefault(name, []).append((times[0], cpu))
        finally:
            for server in (mirror, plain, upstream):
                server.stop()
        costs = {}
        for name, measured in taken.items():
            costs[name] = statistics.median(cpu for _, cpu in measured) / (self.size_bytes / 1e9)
            yield f"| {name} | {self._speed([times for times, _ in measured]):,.0f} | {costs[name]:.2f} |"
        if costs["a local blob"] < TICK_SECS * 10 / (self.size_bytes / 1e9):
            say("a hit beside a local blob is NOT MEASURED: the blob is too small for the clock of CPU time")
            return
        ratio = costs["a hit"] / costs["a local blob"]
        self.marks.append((f"a hit costs {ratio:.2f} times what a local blob costs (mark: the same)", ratio <= 1.1))

    def _await_cached(self, mirror):
        """A client has its last byte once the content is verified, a moment before the blob has its name and its link."""
        link = (f"{mirror.volume}/docker/registry/v2/repositories/{REPOSITORY}/_layers/"
                f"{self.digest.replace(':', '/')}/link")
        limit = time.monotonic() + CACHED_LIMIT_SECS
        while not os.path.exists(link):
            if time.monotonic() > limit:
                raise WrongAnswer(f"{link} is not there {CACHED_LIMIT_SECS} s after the blob was served")
            time.sleep(0.01)

    def crowds(self):
        """Many clients on one cold blob behind a slow link."""
        for name, binary in self.programs():
            one = self._crowd(name, binary, 1)
            many = self._crowd(name, binary, self.args.clients)
            for clients, (secs, downloads, peak_mib) in ((1, one), (self.args.clients, many)):
                yield f"| {name} | {clients} | {secs:.1f} | {downloads} | {peak_mib:.0f} |"
            if name == "wharf":
                times, downloads, peak = many[0] / one[0], many[1], max(one[2], many[2])
                self.marks.append((f"{self.args.clients} clients in {times:.2f} times the time of one (mark {MARK_TIMES})",
                                   times <= MARK_TIMES))
                self.marks.append((f"by {downloads} download from the upstream (mark 1)", downloads == 1))
                self.marks.append((f"with {peak:.0f} MiB (mark {MARK_MIB})", peak <= MARK_MIB))

    def _crowd(self, name, binary, clients):
        say(f"{name}: {clients} on one cold blob")
        upstream = Upstream(self._home(), self.files, self.args.link)
        upstream.start()
        mirror = Mirror(name, binary, self._home(), upstream)
        try:
            mirror.start()
            with process.PeakWatch(mirror.pid) as watch:
                began = time.monotonic()
                self._checked(mirror.url + self.path, clients)
                secs = time.monotonic() - began
            return secs, upstream.downloads(), watch.peak_kib / 1024
        finally:
            mirror.stop()
            upstream.stop()
            shutil.rmtree(mirror.home, ignore_errors=True)


def run(args, work):
    """Everything; gives the process's exit code."""
    bench = Bench(args, work)
    print(f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, Linux {platform.release()}; `bench/mirror`; a blob of "
          f"{args.mib} MiB, medians of {args.rounds}; client, mirror and upstream share the machine")
    for head, rows in (("| a miss | MB/s | first byte, ms |", bench.misses),
                       ("| | MB/s | CPU s for a GB |", bench.hits),
                       (f"| an upstream of {args.link} MB/s for a connection | clients | s | downloads | peak, MiB |",
                        bench.crowds)):
        print(f"\n{head}\n| --- |" + " ---: |" * (head.count("|") - 2), flush=True)
        for row in rows():
            print(row, flush=True)
    print()
    for text, is_met in bench.marks:
        print(f"- {text}: {'met' if is_met else 'not met'}")
    return 0


def main():
    """Runs in a new directory."""
    args = arguments()
    with workspace("wharf-mirror.", args.data) as work:
        return run(args, work)


if __name__ == "__main__":
    sys.exit(main())
