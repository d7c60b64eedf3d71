"""A store with much garbage: repositories of a hundred images each, and layers of images that were deleted."""

import json
import multiprocessing
import os
import shutil
import time

from .content import OCI_MANIFEST, digest_of
from .layout import Volume

MANIFESTS_IN_REPOSITORY = 100
BLOBS_OF_MANIFEST = 9
# For each of a manifest's blobs there is so much that nothing refers to.
GARBAGE_OF_MANIFEST = 1
BLOBS_OF_REPOSITORY = MANIFESTS_IN_REPOSITORY * (BLOBS_OF_MANIFEST + GARBAGE_OF_MANIFEST)
WRITERS = os.cpu_count() or 1
AGE_SECS = 2 * 86400
# What a blob takes on a filesystem with blocks of 4 KiB, with its link; and a manifest, with link and tag.
BLOB_BYTES, BLOB_INODES = 16 << 10, 4
MANIFEST_BYTES, MANIFEST_INODES = 28 << 10, 7


def name_of(repository):
    """The name of a repository by its number."""
    return f"team{repository // 100:03}/app{repository:05}"


def image(repository, number):
    """The blobs and the manifest of an image, by its number in a repository."""
    blobs = [f"layer {part} of {repository} {number}".encode() for part in range(BLOBS_OF_MANIFEST)]
    described = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest_of(data),
                  "size": len(data)} for data in blobs]
    config = {**described[0], "mediaType": "application/vnd.oci.image.config.v1+json"}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": described[1:]}
    return blobs, json.dumps(manifest, indent=3).encode()


def garbage(repository):
    """What images of a repository have left that are gone."""
    return [f"garbage {number} of {repository}".encode() for number in range(MANIFESTS_IN_REPOSITORY)]


class Store:
    """A store below `root` of about `blobs` blobs."""

    def __init__(self, root, blobs):
        self.root = root
        self.repositories = max(1, blobs // BLOBS_OF_REPOSITORY)
        self.manifests = self.repositories * MANIFESTS_IN_REPOSITORY
        self.garbage = self.manifests * GARBAGE_OF_MANIFEST
        self.kept = self.manifests * BLOBS_OF_MANIFEST
        self.blobs = self.kept + self.garbage

    def takes(self):
        """Bytes and inodes on a disk with blocks of 4 KiB."""
        return (self.blobs * BLOB_BYTES + self.manifests * MANIFEST_BYTES,
                self.blobs * BLOB_INODES + self.manifests * MANIFEST_INODES)

    def write(self):
        """The images."""
        _in_parallel(self.repositories, self._write_images)

    def _write_images(self, numbers):
        volume = Volume(self.root)
        for repository in numbers:
            name = name_of(repository)
            for number in range(MANIFESTS_IN_REPOSITORY):
                blobs, manifest = image(repository, number)
                for data in blobs:
                    volume.layer(name, volume.blob(data))
                digest = volume.blob(manifest)
                volume.revision(name, digest)
                volume.tag(name, f"v{number}", digest)

    def litter(self):
        """The garbage, once more where a collection took it: as old as a grace time asks for."""
        _in_parallel(self.repositories, self._write_garbage)

    def _write_garbage(self, numbers):
        volume = Volume(self.root)
        then = time.time() - AGE_SECS
        for repository in numbers:
            for data in garbage(repository):
                digest = digest_of(data)
                link = f"{volume.repository_directory(name_of(repository))}/_layers/sha256/{digest[7:]}"
                # Another collector may have left one of the two.
                shutil.rmtree(link, ignore_errors=True)
                shutil.rmtree(os.path.dirname(self.path(digest)), ignore_errors=True)
                volume.blob(data)
                volume.layer(name_of(repository), digest)
                for path in (self.path(digest), f"{link}/link"):
                    os.utime(path, (then, then))

    def path(self, digest):
        """Where a blob lies."""
        return f"{self.root}/docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"

    def left(self):
        """How much of the garbage is there."""
        return sum(os.path.exists(self.path(digest_of(data))) for repository in range(self.repositories)
                   for data in garbage(repository))

    def lost(self):
        """How much is missing of what is referred to."""
        missing = 0
        for repository in range(self.repositories):
            for number in range(MANIFESTS_IN_REPOSITORY):
                blobs, manifest = image(repository, number)
                missing += sum(not os.path.exists(self.path(digest_of(data))) for data in (*blobs, manifest))
        return missing


def _in_parallel(count, work):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=work, args=(range(first, count, WRITERS),)) for first in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        if writer.exitcode:
            raise OSError("the store could not be written")
