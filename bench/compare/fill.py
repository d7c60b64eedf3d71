"""Fills the servers with what the read cases fetch: the same bytes everywhere."""

import json
import os

from . import push, referrers
from .answers import Answer, CatalogPage, TagsPage
from .content import ACCEPT, LAYERS, Source, digest_of, image_manifest


# The cases that fetch the large blob.
NEEDS_LARGE = {"get-large", "manifest-cold", "tls-get-large", "memory"}


class Store:
    """What every server holds, and the requests for it."""

    def __init__(self, work, sizes):
        self.work, self.sizes = work, sizes
        self.large = Source(f"{work}/large", sizes.large_bytes)
        self.small = Source(f"{work}/small", sizes.small_bytes)
        self.large_tail, self.large_digest = self.large.new_blob()
        self.small_tail, self.small_digest = self.small.new_blob()
        # What goes over the slow link, and that link and the big store, where a case has opened them.
        self.link_blob = Source(f"{work}/link-blob", sizes.link_bytes)
        self.link_tail, self.link_digest = self.link_blob.new_blob()
        self.link = self.big = None
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
            "manifest-head-digest": Answer("HEAD", manifests + self.manifest_digest, *by_digest),
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
        if NEEDS_LARGE.intersection(wanted):
            with open(self.large.path, "rb") as file:
                push.large_blob(connection, "bench/large", self.large, self.large_tail, self.large_digest, file)
        if any(key.startswith("link-pull") for key in wanted):
            with open(self.link_blob.path, "rb") as file:
                push.large_blob(connection, "bench/link", self.link_blob, self.link_tail, self.link_digest, file)
        push.small_blob(connection, "bench/small", self.small.whole(self.small_tail), self.small_digest)
        for repository in ("bench/app", "bench/put", "bench/tags"):
            push.image_blobs(connection, repository, LAYERS)
        if "referrers" in wanted:
            referrers.fill(server, connection, self.manifest, self.sizes.referrers)
        push.manifest(connection, "bench/app", "latest", self.manifest, self.manifest_digest)
        everything = "start" in wanted
        for tag in self.tags if everything or "tags-page" in wanted else ():
            push.manifest(connection, "bench/tags", tag, self.manifest, self.manifest_digest)
        bare = image_manifest(layers=[])
        for repository in self.repositories if everything or "catalog-page" in wanted else ():
            push.image_blobs(connection, repository, [])
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
        for repository, source, tail, digest in (
                ("bench/large", self.large, self.large_tail, self.large_digest),
                ("bench/link", self.link_blob, self.link_tail, self.link_digest)):
            directory = f"{root}/v2/{repository}/blobs"
            os.makedirs(directory)
            source.write_to(f"{directory}/{digest}", tail)

    @staticmethod
    def _write(root, name, data):
        path = f"{root}/v2/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
