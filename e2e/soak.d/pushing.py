"""Pushes as clients make them: look first, mount what another repository has, send the rest, name it."""

import time

from client import Broken, Lost

CHUNK_BYTES = 100_000
# How close to the grace time a push may come that must not fail.
MARGIN_SECS = 1.0
TRIES_MAX = 20


class TooLate(Exception):
    """A push that took longer than the grace time may find that things are gone."""


class Pusher:
    """Pushes into repositories by one client."""

    def __init__(self, client, chance, grace_secs, repositories):
        self.client, self.chance, self.grace_secs, self.repositories = client, chance, grace_secs, repositories
        self.counts = {}

    def count(self, what):
        """Counts for the summary."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def push(self, repository, thing, reference):
        """Pushes a manifest with all that it needs, until it is acknowledged."""
        for _ in range(TRIES_MAX):
            began = time.monotonic()
            try:
                self._push_once(repository, thing, reference, began)
                return
            except TooLate as late:
                self.count(f"later than the grace time, and told so: {late}")
        raise Broken(f"{TRIES_MAX} tries to push {repository}:{reference} took longer than the grace time")

    def _push_once(self, repository, thing, reference, began):
        for child in thing.children:
            # As containerd and crane do it.
            if self.chance.random() < 0.5 and self._is_there(f"/v2/{repository}/manifests/{child.digest}"):
                self.count("child manifests there")
            else:
                self._push_once(repository, child, child.digest, began)
        for blob in self.chance.sample(thing.blobs, len(thing.blobs)):
            self._blob(repository, blob)
            if self.chance.random() < 0.1:
                self._pause()
        if self.chance.random() < 0.3:
            self._pause()
        self.name(repository, thing, reference, began)

    def _pause(self):
        """Somebody's slow network, shorter than the grace time."""
        time.sleep(self.chance.uniform(0, self.grace_secs / 4))

    def name(self, repository, thing, reference, began):
        """Puts a manifest whose parts are there since `began`."""
        answer = self.client.request("PUT", f"/v2/{repository}/manifests/{reference}", thing.data,
                                     {"Content-Type": thing.media_type})
        if answer.status == 201:
            self.count("manifests")
            return
        took = time.monotonic() - began
        what = f"PUT {repository}:{reference} ({thing.digest}) {took:.1f} s after the push began: {answer}"
        if answer.status in (400, 404) and took > self.grace_secs - MARGIN_SECS:
            raise TooLate(what)
        raise Broken(what)

    def _is_there(self, path):
        answer = self.client.request("HEAD", path)
        if answer.status not in (200, 404):
            raise Broken(f"HEAD {path}: {answer}")
        return answer.status == 200

    def _blob(self, repository, blob):
        path = f"/v2/{repository}/blobs/{blob.digest}"
        if self.chance.random() < 0.75 and self._is_there(path):
            self.count("blobs there")
            return
        location = None
        if self.chance.random() < 0.4:
            source = self.chance.choice(self.repositories)
            answer = self.client.request(
                "POST", f"/v2/{repository}/blobs/uploads/?mount={blob.digest}&from={source}")
            if answer.status == 201:
                self.count("blobs mounted")
                return
            if answer.status != 202:
                raise Broken(f"mount of {blob.digest} from {source}: {answer}")
            location = answer.location()
        for _ in range(TRIES_MAX):
            try:
                self._send(repository, blob, location)
                self.count("blobs sent")
                return
            except Lost:
                location = None
                if self._is_there(path):
                    self.count("blobs there after all")
                    return
        raise Broken(f"{path} could not be sent in {TRIES_MAX} tries")

    def _send(self, repository, blob, location):
        """Sends a blob; raises Lost where it has to begin anew."""
        data = blob.data
        if not location and self.chance.random() < 0.2:
            answer = self.client.once("POST", f"/v2/{repository}/blobs/uploads/?digest={blob.digest}", data)
            self._expect(answer, 201, "upload at once")
            return
        if not location:
            answer = self.client.request("POST", f"/v2/{repository}/blobs/uploads/")
            self._expect(answer, 202, "begin an upload")
            location = answer.location()
        sent = 0
        while sent < len(data) and self.chance.random() < 0.7:
            try:
                answer = self.client.once("PATCH", location, data[sent:sent + CHUNK_BYTES],
                                          {"Content-Type": "application/octet-stream"})
                self._expect(answer, 202, "a chunk")
                sent = min(sent + CHUNK_BYTES, len(data))
            except Lost:
                # Another replica knows how far it came.
                answer = self.client.request("GET", location)
                if answer.status != 204:
                    raise
                self.count("uploads continued elsewhere")
                sent = int(answer.headers["Range"].split("-")[1]) + 1 if answer.headers["Range"] != "0-0" else 0
                if sent == 0:
                    raise
            location = answer.location()
        separator = "&" if "?" in location else "?"
        answer = self.client.once("PUT", f"{location}{separator}digest={blob.digest}", data[sent:],
                                  {"Content-Type": "application/octet-stream"})
        self._expect(answer, 201, "the end of an upload")

    @staticmethod
    def _expect(answer, status, what):
        if answer.status != status:
            raise Broken(f"{what}: {answer}")

    def delete(self, repository, reference):
        """Deletes a tag, or a manifest with its tags."""
        answer = self.client.request("DELETE", f"/v2/{repository}/manifests/{reference}")
        if answer.status != 202 and not (answer.retried and answer.status == 404):
            raise Broken(f"DELETE {repository}:{reference}: {answer}")
        self.count("deletions")

    def verify(self, repository, reference, thing):
        """Pulls everything and compares it."""
        answer = self.client.request("GET", f"/v2/{repository}/manifests/{reference}",
                                     headers={"Accept": thing.media_type})
        if answer.status != 200 or answer.body != thing.data:
            raise Broken(f"acknowledged, and now: GET {repository}:{reference}: {answer}")
        for blob in thing.blobs:
            status, body = self.client.pull(f"/v2/{repository}/blobs/{blob.digest}")
            if status != 200 or body != blob.data:
                raise Broken(f"acknowledged, and now: GET {blob.digest} ({blob.name}) of {repository}:{reference}, "
                             f"{thing.digest}: {status}, {len(body)} bytes")
        for child in thing.children:
            self.verify(repository, child.digest, child)
        self.count("pulls")
