"""Fills the servers with what the read cases fetch: the same bytes everywhere."""

import json
import os

from . import push
from .content import ACCEPT, CONFIG, LAYERS, Source, digest_of, image_manifest
from .http1 import WrongAnswer, expect


class Answer:
    """A request that a case makes over and over, and what must come back."""

    def __init__(self, method, target, length, digest=None, headers=()):
        self.method, self.target, self.headers = method, target, headers
        self.length, self.digest = length, digest

    def check(self, connection):
        """Makes the request once and compares all of the answer; raises WrongAnswer."""
        what = f"{self.method} {self.target}"
        answer = expect(connection.request(self.method, self.target, self.headers), 200, what)
        if self.method == "HEAD":
            if answer.headers.get("content-length") != str(self.length):
                got = answer.headers.get("content-length")
                raise WrongAnswer(f"{what}: Content-Length is {got}, not {self.length}")
        elif self.digest and digest_of(answer.body) != self.digest:
            raise WrongAnswer(f"{what}: {len(answer.body)} bytes that are not those of {self.digest}")
        return answer


class TagsPage(Answer):
    """The first page of a repository's tags; the JSON may be spaced as the registry likes."""

    def __init__(self, target, page, tags):
        super().__init__("GET", target, 0)
        self.page, self.tags = page, tags

    def check(self, connection):
        """The tags are right. Distribution 2.8 takes no notice of n: all tags in any order are an answer too."""
        answer = super().check(connection)
        got = json.loads(answer.body).get("tags") or []
        if got != self.tags[: self.page] and sorted(got) != self.tags:
            raise WrongAnswer(f"GET {self.target}: {len(got)} tags that are not the first {self.page}")
        return answer


class CatalogPage(Answer):
    """The first page of the catalog. Orders differ, and a registry given by URL may hold other repositories too."""

    def __init__(self, target, page):
        super().__init__("GET", target, 0)
        self.page = page

    def check(self, connection):
        """As many different names as were asked for."""
        answer = super().check(connection)
        got = json.loads(answer.body).get("repositories")
        if len(set(got or [])) != self.page:
            raise WrongAnswer(f"GET {self.target}: {len(set(got or []))} repositories, not {self.page}")
        return answer


class Store:
    """What every server holds, and the requests for it."""

    def __init__(self, work, sizes):
        self.sizes = sizes
        self.large = Source(f"{work}/large", sizes.large_bytes)
        self.small = Source(f"{work}/small", sizes.small_bytes)
        self.large_tail, self.large_digest = self.large.new_blob()
        self.small_tail, self.small_digest = self.small.new_blob()
        self.manifest = image_manifest()
        self.manifest_digest = digest_of(self.manifest)
        self.tags = [f"v{number:05}" for number in range(sizes.tags)]
        self.repositories = [f"bench-catalog/r{number:05}" for number in range(sizes.repositories)]
        manifests = "/v2/bench/app/manifests/"
        by_digest = (len(self.manifest), self.manifest_digest, (ACCEPT,))
        self.large_path = f"/v2/bench/large/blobs/{self.large_digest}"
        self.answers = {
            "get-small": Answer(
                "GET", f"/v2/bench/small/blobs/{self.small_digest}", sizes.small_bytes, self.small_digest),
            "manifest-tag": Answer("GET", manifests + "latest", *by_digest),
            "manifest-digest": Answer("GET", manifests + self.manifest_digest, *by_digest),
            "manifest-head": Answer("HEAD", manifests + "latest", *by_digest),
            "tags-page": TagsPage(f"/v2/bench/tags/tags/list?n={sizes.page}", sizes.page, self.tags),
            "catalog-page": CatalogPage(f"/v2/_catalog?n={sizes.page}", sizes.page),
        }

    def check_large(self, server, repository, digest):
        """Fetches a large blob once and compares its digest."""
        connection = server.connect()
        connection.get_large(f"/v2/{repository}/blobs/{digest}", self.sizes.large_bytes, digest)
        connection.close()

    def fill(self, server, wanted):
        """Pushes to a registry what the wanted cases need."""
        connection = server.connect()
        if "get-large" in wanted:
            with open(self.large.path, "rb") as file:
                push.large_blob(connection, "bench/large", self.large, self.large_tail, self.large_digest, file)
        push.small_blob(connection, "bench/small", self.small.whole(self.small_tail), self.small_digest)
        for repository in ("bench/app", "bench/put", "bench/tags"):
            push_image_blobs(connection, repository, LAYERS)
        push.manifest(connection, "bench/app", "latest", self.manifest, self.manifest_digest)
        everything = "start" in wanted
        for tag in self.tags if everything or "tags-page" in wanted else ():
            push.manifest(connection, "bench/tags", tag, self.manifest, self.manifest_digest)
        bare = image_manifest(layers=[])
        for repository in self.repositories if everything or "catalog-page" in wanted else ():
            push_image_blobs(connection, repository, [])
            push.manifest(connection, repository, "latest", bare, digest_of(bare))
        connection.close()

    def write_files(self, root):
        """Writes the same answers as files for a server of static files."""
        self._write(root, "bench/small/blobs/" + self.small_digest, self.small.whole(self.small_tail))
        self._write(root, "bench/app/manifests/latest", self.manifest)
        self._write(root, "bench/app/manifests/" + self.manifest_digest, self.manifest)
        tags = {"name": "bench/tags", "tags": self.tags[: self.sizes.page]}
        self._write(root, "bench/tags/tags/list", json.dumps(tags).encode())
        self._write(root, "_catalog", json.dumps({"repositories": self.repositories[: self.sizes.page]}).encode())
        large = f"{root}/v2/bench/large/blobs/{self.large_digest}"
        os.makedirs(os.path.dirname(large))
        self.large.write_to(large, self.large_tail)

    @staticmethod
    def _write(root, name, data):
        path = f"{root}/v2/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def push_image_blobs(connection, repository, layers):
    """The config and the layers that a manifest needs in its repository before it may be PUT."""
    for data in (CONFIG, *layers):
        push.small_blob(connection, repository, data, digest_of(data))
