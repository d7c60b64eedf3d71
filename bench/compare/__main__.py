"""The command line of bench/run and the order of a run."""

import argparse
import dataclasses
import datetime
import os
import platform
import shlex
import shutil
import subprocess
import sys

from . import hashing, servers
from .cases import all_cases
from .fill import Store
from .outcome import NotMeasured
from .prepare import Preparations
from .report import Report
from .rounds import Run, say
from .sizes import FULL, QUICK
from .workspace import workspace

# Not measured round by round: resident memory, the time from exec to the first answer, and zot's own benchmark.
STAGES = ("memory", "start", "zb")
# The modes that servers are started in anew, after everything that one process of each is asked.
LATER_MODES = ("tls", "link", "big")
# Options that change one number of sizes.py.
OTHER_SIZES = ("memory_clients", "mixed_clients", "tags", "repositories", "big_tags", "big_repositories")
FREE_DISK_FACTOR = 1.5
# What a tag and a repository of the big store take: a block for each directory.
BIG_TAG_BYTES, BIG_REPOSITORY_BYTES = 8 << 10, 24 << 10


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares registries in one run on one machine.")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: a smoke test")
    parser.add_argument("--only", action="append", metavar="CASE", help="this case only; may be repeated")
    parser.add_argument("--zb", action="append_const", dest="only", const="zb", help="the same as --only zb")
    parser.add_argument("--list", action="store_true", help="name the cases and exit")
    parser.add_argument("--target", action="append", default=[], metavar="NAME=URL,PID",
                        help="also a registry that runs already, without authentication")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH",
                        help="also a program that is started as PATH serve CONFIG with Distribution's configuration")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave a server out")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each case is measured")
    parser.add_argument("--data", metavar="DIR", help="where all servers keep their data (a new directory in it)")
    parser.add_argument("--out", metavar="DIR", help="where to write bench.md and bench.json")
    for field in ("large_mib", "link_mib", *OTHER_SIZES):
        parser.add_argument("--" + field.replace("_", "-"), type=int, metavar="N")
    return parser.parse_args()


def sizes_of(args):
    """The sizes of this run."""
    sizes = QUICK if args.quick else FULL
    changes = {name: value for name in ("rounds", *OTHER_SIZES)
               if (value := getattr(args, name)) is not None}
    for name in ("large", "link"):
        if (mib := getattr(args, f"{name}_mib")) is not None:
            changes[f"{name}_bytes"] = mib << 20
    return dataclasses.replace(sizes, **changes)


def build_servers(args, work, report_missing):
    """The servers of this run, the one that is judged first."""
    def program(name, path, kind=servers.Registry):
        if name in args.without:
            return
        binary = shutil.which(path)
        if binary:
            found.append(kind(name, os.path.abspath(binary), f"{work}/{name}"))
        else:
            report_missing(f"{name}: no program {path}")

    found = []
    program("wharf", os.environ.get("WHARF_BIN", "wharf"))
    program("distribution", os.environ.get("DISTRIBUTION_BIN", "docker-registry"))
    program("distribution3", os.environ.get("DISTRIBUTION3_BIN", "distribution3"))
    program("zot", os.environ.get("ZOT_BIN", "zot"), servers.Zot)
    for text in args.program:
        program(*text.split("=", 1))
    for text in args.target:
        name, _, rest = text.partition("=")
        url, _, pid = rest.rpartition(",")
        found.append(servers.Server(name, url.rstrip("/"), int(pid)))
    nginx = shutil.which("nginx")
    for name, sendfile in (("nginx", False), ("nginx sendfile", True)):
        if nginx and not {"nginx", name} & set(args.without):
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


def check_disk(work, sizes, cases, stages):
    """Refuses a run that would fill the disk."""
    keys = {case.key for case in cases}
    at_once = [sizes.push_clients]
    at_once += [sizes.contention_pushes] if "manifest-pushes" in keys else []
    at_once += [sizes.memory_clients, sizes.mixed_clients] if "memory" in stages else []
    needed = (6 + max(at_once)) * sizes.large_bytes
    if keys & {"tags-big", "catalog-big"}:
        needed += sizes.big_tags * BIG_TAG_BYTES + sizes.big_repositories * BIG_REPOSITORY_BYTES
    needed = int(needed * FREE_DISK_FACTOR)
    free = shutil.disk_usage(work).free
    if free < needed:
        sys.exit(f"bench: {needed >> 20} MiB of disk are needed in {work} and {free >> 20} MiB are free; "
                 "use --data DIR, --large-mib, --memory-clients, --mixed-clients, --big-tags or --big-repositories")


def choose(args, sizes):
    """The cases and the stages that are wanted."""
    cases = all_cases(sizes)
    known = [case.key for case in cases] + list(STAGES)
    wanted = args.only or known
    if unknown := [key for key in wanted if key not in known]:
        sys.exit(f"bench: no case {', '.join(unknown)}; there are {', '.join(known)}")
    return [case for case in cases if case.key in wanted], [stage for stage in STAGES if stage in wanted]


def run(args, work):
    """Everything; gives the process's exit code."""
    sizes = sizes_of(args)
    cases, stages = choose(args, sizes)
    check_disk(work, sizes, cases, stages)
    report = Report(facts_of(sizes, work), [], "distribution")
    found = build_servers(args, work, report.not_run.append)
    if not found:
        sys.exit("bench: no server to measure: " + "; ".join(report.not_run))
    report.names = [server.name for server in found]
    report.facts["versions"] = {server.name: server.version for server in found}
    if any(case.key == "push-large" for case in cases):
        hash_alone(report, sizes)
    say(f"preparing blobs in {work}")
    store = Store(work, sizes)
    store.write_files(f"{work}/files")
    preparations = Preparations(store, report, say)
    todo = Run(list(found), store, report, preparations)
    try:
        measure(todo, cases, stages)
    finally:
        for server in found:
            server.stop()
        preparations.undo()
    write(args.out, report)
    return 1 if report.failures else 0


def hash_alone(report, sizes):
    """The limit that a push is held against, while nothing else runs."""
    try:
        report.facts["openssl_sha256_mb_per_sec"] = hashing.openssl_megabytes_per_sec(sizes.openssl_secs)
    except (NotMeasured, OSError, subprocess.SubprocessError) as reason:
        report.not_run.append(f"SHA-256 alone: {reason}")


def measure(todo, cases, stages):
    """First what one process of each server is asked, then what they are started anew for."""
    todo.start(cases, stages)
    for case in (case for case in cases if case.mode == "plain"):
        todo.measure(case)
    todo.finish(stages)
    if "zb" in stages:
        todo.zb()
    for mode in LATER_MODES:
        of_mode = [case for case in cases if case.mode == mode]
        if of_mode and todo.enter(mode, of_mode):
            for case in of_mode:
                todo.measure(case)


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
    """Runs in a new directory."""
    args = arguments()
    if args.list:
        print("\n".join([f"{case.key:18}{case.title}" for case in all_cases(sizes_of(args))] + list(STAGES)))
        return 0
    with workspace("wharf-bench.", args.data) as work:
        return run(args, work)


if __name__ == "__main__":
    sys.exit(main())
