"""The referrers of a subject with many, which are pushed to every registry that has the API."""

import json

from . import load, push
from .answers import Answer
from .content import CONFIG, OCI_MANIFEST, descriptor, digest_of
from .http1 import WrongAnswer
from .outcome import NotMeasured

REPOSITORY = "bench/referrers"
NOBODY = "sha256:" + "0" * 64
INDEX = "application/vnd.oci.image.index.v1+json"


def artifact(number, subject):
    """The bytes of a manifest that refers to another: a signature, as cosign makes them."""
    return json.dumps({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "config": descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [],
        "subject": descriptor(subject, OCI_MANIFEST),
        "annotations": {"org.example.number": str(number)},
    }).encode()


class Referrers(Answer):
    """All of them, in any order."""

    def __init__(self, subject, digests, repository=REPOSITORY):
        super().__init__("GET", f"/v2/{repository}/referrers/{digest_of(subject)}", 0)
        self.digests = sorted(digests)

    def check(self, connection):
        """An image index with exactly these manifests."""
        answer = super().check(connection)
        index = json.loads(answer.body)
        got = sorted(entry["digest"] for entry in index.get("manifests") or [])
        if index.get("mediaType") != INDEX or got != self.digests:
            raise WrongAnswer(f"GET {self.target}: {len(got)} referrers that are not the {len(self.digests)} pushed")
        return answer


def fill(server, connection, subject, count):
    """Pushes the subject and its referrers, unless the registry says by 404 that it has no such API."""
    answer = connection.request("GET", f"/v2/{REPOSITORY}/referrers/{NOBODY}")
    push.image_blobs(connection, REPOSITORY, [])
    server.offers_referrers = answer.status != 404
    if not server.offers_referrers:
        return
    for number in range(count):
        data = artifact(number, subject)
        push.manifest(connection, REPOSITORY, digest_of(data), data, digest_of(data))


def measure(server, store):
    """GETs the list over and over."""
    if not server.offers_referrers:
        raise NotMeasured("has no referrers API")
    digests = [digest_of(artifact(number, store.manifest)) for number in range(store.sizes.referrers)]
    return load.requests(server, Referrers(store.manifest, digests), store.sizes)
