"""Stores that are large in one thing each, written as files, and what their pages must show."""

from dataclasses import dataclass
from typing import Callable

from . import referrers
from .big import GROUP, NamesPage
from .content import CONFIG, LAYERS, digest_of, image_manifest
from .layout import Volume

APP = "bench/app"
PAGE = 100
REFERRERS = 10


class Growing:
    """A store with one image and its referrers, to which a kind adds much of one thing."""

    def __init__(self, root):
        self.volume = Volume(root)
        self.manifest = image_manifest()
        self.tags, self.tags_last = ["latest"], ""
        self.repositories, self.repositories_last = [APP], ""
        for data in (CONFIG, *LAYERS):
            self.volume.layer(APP, self.volume.blob(data))
        self.volume.revision(APP, self.volume.blob(self.manifest))
        self.volume.tag(APP, "latest", digest_of(self.manifest))
        for number in range(REFERRERS):
            self.volume.revision(APP, self.volume.blob(referrers.artifact(number, self.manifest)))

    def tags_page(self):
        """The page of tags in the middle."""
        names = [name for name in self.tags if name > self.tags_last][:PAGE]
        last = f"&last={self.tags_last}" if self.tags_last else ""
        return NamesPage(f"/v2/{APP}/tags/list?n={PAGE}{last}", "tags", names, sorted(self.tags))

    def catalog_page(self):
        """The page of repositories in the middle."""
        names = [name for name in self.repositories if name > self.repositories_last][:PAGE]
        last = f"&last={self.repositories_last}" if self.repositories_last else ""
        return NamesPage(f"/v2/_catalog?n={PAGE}{last}", "repositories", names, sorted(self.repositories))

    def referrers(self):
        """The referrers of the image."""
        digests = [digest_of(referrers.artifact(number, self.manifest)) for number in range(REFERRERS)]
        return referrers.Referrers(self.manifest, digests, APP)


def _blobs(store, count):
    for number in range(count):
        store.volume.layer(APP, store.volume.blob(f"blob {number}".encode()))


def _tags(store, count):
    digest = digest_of(store.manifest)
    names = [f"v{number:07}" for number in range(count)]
    for name in names:
        store.volume.tag(APP, name, digest)
    store.tags += names
    store.tags_last = names[len(names) // 2]


def _repositories(store, count):
    digest = digest_of(store.manifest)
    names = [f"g{number // GROUP:05}/r{number % GROUP:03}" for number in range(count)]
    for name in names:
        store.volume.repository(name, digest)
    store.repositories += names
    store.repositories_last = names[len(names) // 2]


def _manifests(store, count):
    for number in range(count):
        store.volume.revision(APP, store.volume.blob(image_manifest(number)))


@dataclass(frozen=True)
class Kind:
    """What there is much of, and the bytes of disk and the inodes that each takes."""

    title: str
    add: Callable[[Growing, int], None]
    each_bytes: int
    each_inodes: int


KINDS = {
    "blobs": Kind("blobs in one repository", _blobs, 16 << 10, 4),
    "tags": Kind("tags in one repository", _tags, 12 << 10, 3),
    "repositories": Kind("repositories", _repositories, 32 << 10, 8),
    "manifests": Kind("manifests in one repository", _manifests, 16 << 10, 4),
}
