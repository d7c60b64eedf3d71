"""soak.py run LEDGER --seconds N --grace N --front HOST:PORT HOST:PORT...: workers push, retag, mount and delete;
what was acknowledged in the end is written to LEDGER.
soak.py verify LEDGER HOST:PORT: all of it can be pulled, and nothing else is listed.
soak.py compare LEDGER LISTING: a storage, as lines "SIZE PATH", has what that refers to, and nothing else."""

import argparse
import collections
import pickle
import random
import re
import sys
import threading
import time

from client import Broken, Client
from pushing import Pusher
from skopeo import Skopeo
from worker import Worker

WORKERS = 8
SKOPEOS = 2
JOIN_SECS = 180


def run(args):
    """Lets the workers work."""
    stopped = threading.Event()
    workers = []
    for number in range(WORKERS):
        chance = random.Random(f"{args.seed} {number}")
        of_all = (number, WORKERS, (args.replicas, args.front), args.grace, chance, stopped)
        workers.append(Skopeo(args.home, *of_all) if number < SKOPEOS else Worker(*of_all))
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    stopped.wait(args.seconds)
    stopped.set()
    for thread in threads:
        thread.join(JOIN_SECS)
    broken = [worker.broken for worker in workers if worker.broken]
    broken += [f"worker {n} does not come to an end" for n, thread in enumerate(threads) if thread.is_alive()]
    counts = collections.Counter()
    for worker in workers:
        counts.update(worker.pusher.counts)
        counts["answers lost"] += worker.pusher.client.lost
    for what, count in sorted(counts.items()):
        print(f"{count:6} {what}")
    with open(args.ledger, "wb") as file:
        pickle.dump([entry for worker in workers for entry in worker.ledger.manifests()], file)
    return broken


def load(path):
    """The acknowledged: repository, manifest, and its tag or None."""
    with open(path, "rb") as file:
        return pickle.load(file)


def names(client, path, member):
    """A list of the registry's, all pages of it."""
    import json  # pylint: disable=import-outside-toplevel
    answer = client.request("GET", path)
    if answer.status == 404:
        return []
    if answer.status != 200 or "Link" in answer.headers:
        raise Broken(f"GET {path}: {answer}")
    return json.loads(answer.body)[member] or []


def verify(args):
    """Pulls everything that was acknowledged, and looks for what was not."""
    ledger = load(args.ledger)
    client = Client([args.address], args.address, random.Random(0))
    pusher = Pusher(client, random.Random(0), 0, [])
    broken = []
    tags = collections.defaultdict(set)
    for repository, thing, tag in ledger:
        if tag:
            tags[repository].add(tag)
        try:
            pusher.verify(repository, tag or thing.digest, thing)
        except Broken as error:
            broken.append(str(error))
    repositories = set(names(client, "/v2/_catalog?n=1000", "repositories"))
    if repositories != set(tags):
        broken.append(f"repositories: {sorted(repositories)}, and acknowledged were {sorted(tags)}")
    for repository in sorted(repositories):
        listed = set(names(client, f"/v2/{repository}/tags/list?n=1000", "tags"))
        if listed != tags[repository]:
            broken.append(f"{repository}: tags {sorted(listed)}, and acknowledged were {sorted(tags[repository])}")
    print(f"{len(ledger)} manifests in {len(tags)} repositories can be pulled")
    return broken


def expected(ledger):
    """The files below the layout's root that are needed: by path their size, or None where it does not matter."""
    files = {}

    def of(digest):
        return digest.replace(":", "/")

    def blob(digest, size):
        files[f"blobs/sha256/{digest[7:9]}/{digest[7:]}/data"] = size

    for repository, thing, tag in ledger:
        blob(thing.digest, len(thing.data))
        root = f"repositories/{repository}"
        files[f"{root}/_manifests/revisions/{of(thing.digest)}/link"] = None
        if tag:
            files[f"{root}/_manifests/tags/{tag}/current/link"] = None
        for part in thing.blobs:
            blob(part.digest, len(part.data))
            files[f"{root}/_layers/{of(part.digest)}/link"] = None
    return files


def compare(args):
    """File by file. Notes of what a tag named before are left to the tag, and what a server that was killed
    was just writing to `wharf check --repair`, from an hour on."""
    ledger = load(args.ledger)
    wanted = expected(ledger)
    found = {}
    history = re.compile(r"repositories/.*/_manifests/tags/[^/]*/index/sha256/[0-9a-f]{64}/link")
    with open(args.listing, encoding="utf-8") as file:
        for line in file:
            size, path = line.rstrip("\n").split(" ", 1)
            if not history.fullmatch(path) and not path.endswith(".tmp"):
                found[path] = int(size)
    broken = [f"is missing: {path}" for path in sorted(set(wanted) - set(found))]
    broken += [f"nothing refers to {path} ({found[path]} bytes)" for path in sorted(set(found) - set(wanted))]
    broken += [f"{path} has {found[path]} bytes, and not {size}" for path, size in wanted.items()
               if size is not None and path in found and found[path] != size]
    blobs = {path: size for path, size in found.items() if path.startswith("blobs/")}
    needed = sum(size for size in wanted.values() if size is not None)
    print(f"{len(blobs)} blobs of {sum(blobs.values())} bytes, {needed} are referred to; {len(found)} files")
    return broken


def main():
    """The command line; exit code 1 with what is broken."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run")
    command.add_argument("ledger")
    command.add_argument("replicas", nargs="+")
    command.add_argument("--front", required=True)
    command.add_argument("--seconds", type=float, required=True)
    command.add_argument("--grace", type=float, required=True)
    command.add_argument("--seed", required=True)
    command.add_argument("--home", required=True)
    command = commands.add_parser("verify")
    command.add_argument("ledger")
    command.add_argument("address")
    command = commands.add_parser("compare")
    command.add_argument("ledger")
    command.add_argument("listing")
    args = parser.parse_args()
    began = time.monotonic()
    broken = {"run": run, "verify": verify, "compare": compare}[args.command](args)
    for what in broken[:20]:
        print(f"BROKEN: {what}")
    print(f"{args.command}: {len(broken)} broken, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
