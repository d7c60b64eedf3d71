"""The command line of bench/run and the order of a run."""

import argparse
import dataclasses
import datetime
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import memory, process, servers
from .cases import all_cases
from .fill import Store
from .http1 import WrongAnswer
from .report import Report
from .sizes import FULL, QUICK

# Not measured round by round: resident memory, and the time from exec to the first answer.
STAGES = ("memory", "start")
FREE_DISK_FACTOR = 1.5


def say(text):
    """Progress; the tables go to standard output."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares registries in one run on one machine.")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: a smoke test")
    parser.add_argument("--only", action="append", metavar="CASE", help="this case only; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the cases and exit")
    parser.add_argument("--target", action="append", default=[], metavar="NAME=URL,PID",
                        help="also a registry that runs already, without authentication")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH",
                        help="also a program that is started as PATH serve CONFIG with Distribution's configuration")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave a server out")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each case is measured")
    parser.add_argument("--data", metavar="DIR", help="where all servers keep their data (a new directory in it)")
    parser.add_argument("--out", metavar="DIR", help="where to write bench.md and bench.json")
    for field in ("large_mib", "memory_clients", "tags", "repositories"):
        parser.add_argument("--" + field.replace("_", "-"), type=int, metavar="N")
    return parser.parse_args()


def sizes_of(args):
    """The sizes of this run."""
    sizes = QUICK if args.quick else FULL
    changes = {name: value for name in ("rounds", "memory_clients", "tags", "repositories")
               if (value := getattr(args, name)) is not None}
    if args.large_mib is not None:
        changes["large_bytes"] = args.large_mib << 20
    return dataclasses.replace(sizes, **changes)


def build_servers(args, work, report_missing):
    """The servers of this run, the one that is judged first."""
    def program(name, path):
        binary = shutil.which(path)
        if binary:
            found.append(servers.registry(name, os.path.abspath(binary), f"{work}/{name}"))
        else:
            report_missing(f"{name}: no program {path}")

    found = []
    if "wharf" not in args.without:
        program("wharf", os.environ.get("WHARF_BIN", "wharf"))
    if "distribution" not in args.without:
        program("distribution", os.environ.get("DISTRIBUTION_BIN", "docker-registry"))
    for text in args.program:
        program(*text.split("=", 1))
    for text in args.target:
        name, _, rest = text.partition("=")
        url, _, pid = rest.rpartition(",")
        found.append(servers.Server(name, url.rstrip("/"), int(pid)))
    nginx = shutil.which("nginx")
    for name, sendfile in (("nginx", False), ("nginx sendfile", True)):
        if nginx and "nginx" not in args.without:
            found.append(servers.Nginx(name, nginx, f"{work}/{name.replace(' ', '-')}", f"{work}/files", sendfile))
    if not nginx and "nginx" not in args.without:
        report_missing("nginx: not on this machine")
    return found


def facts_of(sizes, work):
    """What a reader needs to judge the numbers."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    filesystem = subprocess.run(["stat", "-f", "-c", "%T", work], capture_output=True, text=True, check=False)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "filesystem": filesystem.stdout.strip(),
        "command": shlex.join(["bench/run", *sys.argv[1:]]),
        "rounds": sizes.rounds,
        "sizes": dataclasses.asdict(sizes),
        "load_average_at_start": os.getloadavg()[0],
    }


class Run:
    """One run over all servers; a server that answers wrongly is reported and left out of that case."""

    def __init__(self, found, store, report):
        self.servers, self.store, self.report = found, store, report

    def attempt(self, server, what, step):
        """The step's result, or None when it failed; the failure is kept for the report."""
        try:
            return step()
        except (WrongAnswer, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            failure = f"{server.name}, {what}: {error}"
            if failure not in self.report.failures:
                self.report.failures.append(failure)
                say(f"WRONG: {failure}")
            return None

    def start(self, cases, stages):
        """Starts all, reads the idle memory and fills the stores."""
        wanted = [case.key for case in cases] + stages
        for server in list(self.servers):
            def begin(server=server):
                server.start()
                if "memory" in stages:
                    self.report.memory[server.name] = {"idle_kib": memory.idle_kib(server)}
                if server.takes_pushes:
                    say(f"filling {server.name}")
                    self.store.fill(server, wanted)
                if "get-large" in wanted:
                    self.store.check_large(server, "bench/large", self.store.large_digest)
                return True
            if not self.attempt(server, "start and fill", begin):
                self.servers.remove(server)

    def measure(self, case):
        """All rounds of a case: the servers take turns, and the next round begins with the next server."""
        able = [server for server in self.servers if server.takes_pushes or not case.pushes]
        for number in range(self.store.sizes.rounds):
            shift = number % len(able) if able else 0
            for server in able[shift:] + able[:shift]:
                def once(server=server):
                    process.wait_until_quiet(server.pid)
                    return case.run(server, self.store)
                sample = self.attempt(server, case.key, once)
                if sample:
                    sample.load_average = os.getloadavg()[0]
                    self.report.add(case, server.name, sample)
                    self._tell(case, server, number, sample)

    @staticmethod
    def _tell(case, server, number, sample):
        if case.of_bytes:
            text = f"{sample.megabytes_per_sec:,.0f} MB/s, {sample.cpu_secs_per_gigabyte:.2f} CPU s/GB"
        else:
            text = f"{sample.requests_per_sec:,.0f}/s, {sample.cpu_us_per_request:,.0f} CPU µs"
        say(f"{case.key} round {number + 1} {server.name}: {text}; client CPU {sample.client_cpu_secs:.1f} s "
            f"of {sample.wall_secs:.1f} s")

    def finish(self, stages):
        """Memory under pushes and after it all, and the starts, which end the processes measured so far."""
        for server in self.servers:
            if "memory" not in stages:
                break
            figures = self.report.memory[server.name]
            if server.takes_pushes:
                say(f"memory of {server.name}")
                peak = self.attempt(server, "memory", lambda s=server: memory.under_pushes(s, self.store))
                figures.update(peak or {})
        if "memory" in stages:
            time.sleep(memory.REST_SECS)
        for server in self.servers:
            if "memory" in stages:
                after = self.attempt(server, "memory", lambda s=server: process.resident_kib(s.pid))
                self.report.memory[server.name]["after_kib"] = after
            if "start" in stages and isinstance(server, servers.Program):
                millis = self.attempt(
                    server, "start", lambda s=server: memory.start_millis(s, self.store.sizes.starts))
                if millis:
                    self.report.start[server.name] = millis


def check_disk(work, sizes, stages):
    """Refuses a run that would fill the disk."""
    blobs = 4 + max(sizes.push_clients, sizes.memory_clients if "memory" in stages else 0)
    needed = int(blobs * sizes.large_bytes * FREE_DISK_FACTOR)
    free = shutil.disk_usage(work).free
    if free < needed:
        sys.exit(f"bench: {needed >> 20} MiB of disk are needed in {work} and {free >> 20} MiB are free; "
                 "use --data DIR, --large-mib or --memory-clients")


def run(args, work):
    """Everything; gives the process's exit code."""
    sizes = sizes_of(args)
    cases = all_cases(sizes)
    known = [case.key for case in cases] + list(STAGES)
    wanted = args.only or known
    if unknown := [key for key in wanted if key not in known]:
        sys.exit(f"bench: no case {', '.join(unknown)}; there are {', '.join(known)}")
    cases = [case for case in cases if case.key in wanted]
    stages = [stage for stage in STAGES if stage in wanted]
    check_disk(work, sizes, stages)
    report = Report(facts_of(sizes, work), [], "distribution")
    found = build_servers(args, work, report.not_run.append)
    if not found:
        sys.exit("bench: no server to measure: " + "; ".join(report.not_run))
    report.names = [server.name for server in found]
    report.facts["versions"] = {server.name: server.version for server in found}
    say(f"preparing blobs in {work}")
    store = Store(work, sizes)
    store.write_files(f"{work}/files")
    todo = Run(list(found), store, report)
    try:
        todo.start(cases, stages)
        for case in cases:
            todo.measure(case)
        todo.finish(stages)
    finally:
        for server in found:
            server.stop()
    write(args.out, report)
    return 1 if report.failures else 0


def write(out, report):
    """The tables to standard output; both forms to files when asked for."""
    text = report.markdown()
    print(text, end="")
    if out:
        os.makedirs(out, exist_ok=True)
        for name, content in (("bench.md", text), ("bench.json", report.as_json())):
            with open(os.path.join(out, name), "w", encoding="utf-8") as file:
                file.write(content)
        say(f"wrote bench.md and bench.json to {out}")


def main():
    """Runs in a new directory that is removed at the end, also after a signal."""
    args = arguments()
    if args.list:
        print("\n".join([f"{case.key:18}{case.title}" for case in all_cases(sizes_of(args))] + list(STAGES)))
        return 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    work = tempfile.mkdtemp(prefix="wharf-bench.", dir=args.data)
    os.chmod(work, 0o755)  # nginx's workers run as another user.
    try:
        return run(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
