"""Images, indexes and signatures that are made from their names: the same name gives the same bytes, in every
worker, so that content which was collected comes back, and layers are shared."""

import functools
import gzip
import hashlib
import json
import random
from dataclasses import dataclass

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# Few enough for images to share them, and many enough for some to be garbage at any time.
SHARED_LAYERS = 40
SHARED_IMAGES = 48
LAYER_BYTES = (200, 3_000, 20_000, 20_000, 60_000, 400_000)


def digest_of(data):
    """The SHA-256 of bytes, as a digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Blob:
    """A layer or a configuration, by its name."""

    name: str

    @functools.cached_property
    def data(self):
        """Its bytes."""
        chance = random.Random(self.name)
        if self.name.startswith("config "):
            return json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"name": self.name}},
                               "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        return gzip.compress(chance.randbytes(chance.choice(LAYER_BYTES)), 1, mtime=0)

    @functools.cached_property
    def digest(self):
        """The digest of its bytes."""
        return digest_of(self.data)


@dataclass(frozen=True)
class Thing:
    """A manifest: an image or a signature with its blobs, or an index with its children."""

    data: bytes
    media_type: str
    blobs: tuple = ()
    children: tuple = ()

    @functools.cached_property
    def digest(self):
        """Its digest."""
        return digest_of(self.data)

    def descriptor(self):
        """What an index, or something of which this is the subject, says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


def _blob_descriptor(blob, media_type):
    return {"mediaType": media_type, "digest": blob.digest, "size": len(blob.data)}


def _image(config, layers, **more):
    manifest = {"schemaVersion": 2, "mediaType": IMAGE, "config": _blob_descriptor(config, CONFIG),
                "layers": [_blob_descriptor(layer, LAYER) for layer in layers], **more}
    return Thing(json.dumps(manifest).encode(), IMAGE, (config, *layers))


@functools.lru_cache(1024)
def shared_image(number):
    """One of the images that everybody pushes again and again."""
    chance = random.Random(f"image {number}")
    layers = [Blob(f"layer {n}") for n in chance.sample(range(SHARED_LAYERS), chance.randint(1, 3))]
    return _image(Blob(f"config {number}"), layers)


def new_image(name, chance):
    """One that nobody has, but for one of its layers."""
    return _image(Blob(f"config {name}"), [Blob(f"layer {chance.randrange(SHARED_LAYERS)}"), Blob(f"layer {name}")])


def index(children):
    """An index of images."""
    manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child.descriptor() for child in children]}
    return Thing(json.dumps(manifest).encode(), INDEX, children=tuple(children))


def signature(subject, number):
    """Something that says it is about `subject`."""
    layer = Blob(f"layer signature {subject.digest} {number}")
    return _image(Blob("config signature"), [layer], artifactType="application/vnd.example.signature",
                  subject=subject.descriptor())
