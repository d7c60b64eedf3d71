"""A worker that is skopeo."""

import json
import os
import re
import subprocess
import time

from client import Broken
from content import INDEX, shared_image
from pushing import MARGIN_SECS, TRIES_MAX
from worker import Worker

IMAGES = 16
LIMIT_SECS = 120
# What a registry says when something is missing; a replica that is killed says nothing.
MISSING = re.compile(r"unknown|invalid|denied|unsupported|HTTP 4|status 4", re.IGNORECASE)


def write_layout(path):
    """The first of the shared images as an OCI layout."""
    os.makedirs(f"{path}/blobs/sha256")
    entries = []

    def write(digest, data):
        with open(f"{path}/blobs/{digest.replace(':', '/')}", "wb") as file:
            file.write(data)

    for number in range(IMAGES):
        image = shared_image(number)
        for part in (image, *image.blobs):
            write(part.digest, part.data)
        entries.append({**image.descriptor(), "annotations": {"org.opencontainers.image.ref.name": f"v{number}"}})
    for name, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                          ("index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})):
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            json.dump(content, file)


class Skopeo(Worker):
    """Copies into its own repositories, from one to the other, and deletes."""

    def __init__(self, home, number, workers, addresses, *more):
        super().__init__(number, workers, addresses, *more)
        self.front, self.home = addresses[1], f"{home}/skopeo{number}"
        write_layout(f"{self.home}/layout")

    def _skopeo(self, *arguments):
        """Until it succeeds."""
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "XDG_RUNTIME_DIR": self.home}
        for _ in range(TRIES_MAX):
            began = time.monotonic()
            done = subprocess.run(["skopeo", "--insecure-policy", *arguments], env=environment, check=False,
                                  capture_output=True, text=True, timeout=LIMIT_SECS)
            if done.returncode == 0:
                return
            took = time.monotonic() - began
            if arguments[0] == "delete" and ("unknown" in done.stderr or "may not exist" in done.stderr):
                # The front repeats a deletion, and so does this. Whether it is gone shows in the end.
                return
            if MISSING.search(done.stderr) and "502" not in done.stderr:
                what = f"skopeo {' '.join(arguments)}, after {took:.1f} s: {done.stderr}"
                if took < self.pusher.grace_secs - MARGIN_SECS:
                    raise Broken(what)
                self.pusher.count(f"later than the grace time, and told so: {what}")
            time.sleep(self.chance.uniform(0.1, 0.5))
        raise Broken(f"skopeo {' '.join(arguments)} failed {TRIES_MAX} times: {done.stderr}")

    def _copy(self, source, repository, tag, thing):
        self._skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", "--src-tls-verify=false", source,
                     f"docker://{self.front}/{repository}:{tag}")
        self.pusher.count("copies by skopeo")
        self._pushed(repository, tag, thing)

    def push_own(self):
        """From the layout."""
        number = self.chance.randrange(IMAGES)
        self._copy(f"oci:{self.home}/layout:v{number}", self.chance.choice(self.own), self._tag(), shared_image(number))

    push_index = push_own
    push_again = push_own

    def retag(self):
        """From one repository to the other, which mounts."""
        key = self._tagged(self.own)
        if key and self.ledger.tags[key].media_type != INDEX:
            target = self.own[1 - self.own.index(key[0])]
            self._copy(f"docker://{self.front}/{key[0]}:{key[1]}", target, self._tag(), self.ledger.tags[key])

    def delete_manifest(self):
        """skopeo deletes the manifest that a tag names."""
        key = self._tagged(self.own)
        if key and not self.ledger.is_child(key[0], self.ledger.tags[key]):
            self._skopeo("delete", "--tls-verify=false", f"docker://{self.front}/{key[0]}:{key[1]}")
            self.pusher.count("deletions by skopeo")
            self.ledger.remove(key[0], self.ledger.tags[key])
