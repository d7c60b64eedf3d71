"""What is pushed and fetched. Every blob is incompressible and new, and its digest is known before the clock starts."""

import hashlib
import itertools
import json
import os

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# What dockerd sends, shortened to the types that matter.
ACCEPT = ("Accept", f"{OCI_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json")

_serial = itertools.count()
_run = os.urandom(8)
TAIL_SIZE_BYTES = 16


def digest_of(data):
    """The sha256 digest of bytes, as OCI writes it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Source:
    """Blobs of one size: random bytes in a file (in the page cache), each blob with a tail of its own.

    The hash state after the shared bytes is kept, so that the digest of a new blob costs microseconds,
    while a server has to hash all of it.
    """

    def __init__(self, path, size_bytes):
        self.path, self.size_bytes = path, size_bytes
        self.shared_bytes = size_bytes - TAIL_SIZE_BYTES
        self._state = hashlib.sha256()
        left = self.shared_bytes
        with open(path, "wb") as file:
            while left:
                part = os.urandom(min(left, 1 << 20))
                file.write(part)
                self._state.update(part)
                left -= len(part)
            file.flush()
            os.fsync(file.fileno())

    def new_blob(self):
        """A (tail, digest) that no server of this run has seen."""
        tail = _run + next(_serial).to_bytes(8, "big")
        state = self._state.copy()
        state.update(tail)
        return tail, "sha256:" + state.hexdigest()

    def write_to(self, path, tail):
        """Writes a whole blob to a file, for the server of static files."""
        with open(self.path, "rb") as shared, open(path, "wb") as file:
            while part := shared.read(1 << 20):
                file.write(part)
            file.write(tail)

    def whole(self, tail):
        """The blob in memory: for small ones."""
        with open(self.path, "rb") as shared:
            return shared.read() + tail


def descriptor(data, media_type):
    """An OCI descriptor of bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
LAYERS = [f"layer {number}".encode() for number in range(8)]


def image_manifest(serial=None, layers=LAYERS):
    """The bytes of an image manifest with eight layers (about 2 KiB); a serial number makes it another one."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers],
        "annotations": {"org.opencontainers.image.title": "bench"},
    }
    if serial is not None:
        manifest["annotations"]["org.opencontainers.image.version"] = f"{_run.hex()}-{serial}"
    return json.dumps(manifest, indent=3).encode()


def new_manifest():
    """A manifest that no server of this run has seen."""
    return image_manifest(next(_serial))
