"""Transfers by curl, where Python would be what is measured (TLS) or does not speak the protocol (HTTP/2)."""

import json
import subprocess

from . import netns
from .http1 import WrongAnswer

LIMIT_SECS = 600
VERSIONS = {"--http1.1": "1.1", "--http2": "2"}


def transfers(server, arguments, urls, expected, namespace=None, version="--http1.1", each=()):
    """Runs one curl over all the URLs, on one connection, and gives what it measured for each.

    `each` are arguments that belong to every URL. `expected` are values of curl's own variables that
    every transfer must have, such as http_code.
    """
    command = ["curl", "-q", "-sS", version, "--max-time", str(LIMIT_SECS), "--noproxy", "*",
               "--write-out", "%{json}\n", *arguments]
    if server.mode.tls:
        command += ["--cacert", server.mode.tls.certificate]
    for url in urls:
        command += [*each, "--output", "/dev/null", url]
    with netns.inside(namespace):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=LIMIT_SECS + 10)
    if done.returncode != 0:
        raise WrongAnswer(f"curl {urls[0]}: {done.stderr.strip()[:300]}")
    measured = [json.loads(line) for line in done.stdout.splitlines() if line]
    if len(measured) != len(urls):
        raise WrongAnswer(f"curl {urls[0]}: {len(measured)} transfers, not {len(urls)}")
    if sum(one["num_connects"] for one in measured) != 1:
        raise WrongAnswer(f"curl {urls[0]}: the server did not keep the connection")
    for one in measured:
        for name, value in {"http_version": VERSIONS[version], **expected}.items():
            if one[name] != value:
                raise WrongAnswer(f"curl {one['url_effective']}: {name} is {one[name]!r}, not {value!r}")
    return measured
