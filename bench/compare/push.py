"""Pushes as docker does them: POST for a session, PATCH with the bytes, PUT with the digest."""

import time

from .content import CONFIG, OCI_MANIFEST, digest_of
from .http1 import WrongAnswer, expect


def target(location, what):
    """The path and query of a Location, which may be absolute."""
    if not location:
        raise WrongAnswer(f"{what}: no Location")
    if location.startswith(("http://", "https://")):
        location = "/" + location.split("/", 3)[3]
    return location


def begin(connection, repository):
    """Opens an upload session; gives its path and query."""
    answer = expect(connection.request("POST", f"/v2/{repository}/blobs/uploads/"), 202, "POST upload")
    return target(answer.headers.get("location"), "POST upload")


def _finish_patched(connection, patched, digest):
    finish(connection, target(expect(patched, 202, "PATCH").headers.get("location"), "PATCH"), digest)


def finish(connection, location, digest):
    """Ends an upload session with the digest of what was sent."""
    mark = "&" if "?" in location else "?"
    answer = connection.request("PUT", f"{location}{mark}digest={digest}")
    expect(answer, 201, "PUT blob", docker_content_digest=digest)


def large_blob(connection, repository, source, tail, digest, file):
    """Pushes one blob of a source whose file is open."""
    session = begin(connection, repository)
    _finish_patched(connection, connection.send_file("PATCH", session, file, source.shared_bytes, tail), digest)


def small_blob(connection, repository, data, digest):
    """Pushes one blob that is in memory."""
    session = begin(connection, repository)
    headers = (("Content-Type", "application/octet-stream"),)
    _finish_patched(connection, connection.request("PATCH", session, headers, data), digest)


def image_blobs(connection, repository, layers):
    """The config and the layers that a manifest needs in its repository before it may be PUT."""
    for data in (CONFIG, *layers):
        small_blob(connection, repository, data, digest_of(data))


def manifest(connection, repository, reference, data, digest):
    """PUTs one manifest."""
    answer = connection.request(
        "PUT", f"/v2/{repository}/manifests/{reference}", (("Content-Type", OCI_MANIFEST),), data
    )
    expect(answer, 201, f"PUT manifest {repository}:{reference}", docker_content_digest=digest)


def timed(step):
    """How long a call took, in microseconds."""
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1e6
