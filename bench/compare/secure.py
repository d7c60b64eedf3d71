"""The large blob over TLS: the same version and cipher suite for every server."""

import subprocess

from . import crew, curl, process
from .http1 import WrongAnswer
from .sample import of_crew

SUITE = "TLS_AES_128_GCM_SHA256"
_PINNED = ["--tlsv1.3", "--tls13-ciphers", SUITE]


def check_suite(server):
    """The server takes the suite that curl is told to offer."""
    done = subprocess.run(
        ["curl", "-q", "-v", "-sS", "--http1.1", "--noproxy", "*", *_PINNED, "--cacert", server.mode.tls.certificate,
         "--output", "/dev/null", server.url + "/v2/"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)
    if f"TLSv1.3 / {SUITE}" not in done.stderr:
        raise WrongAnswer(f"TLS: not TLS 1.3 with {SUITE}: {done.stderr.strip()[-300:]}")


def get_large(server, store):
    """Clients fetch the large blob at once and throw it away."""
    sizes = store.sizes
    check_suite(server)
    urls = [server.url + store.large_path] * sizes.gets_each
    expected = {"http_code": 200, "size_download": sizes.large_bytes}

    def client(_):
        return lambda: [one["time_total"] * 1e6 for one in curl.transfers(server, _PINNED, urls, expected)]

    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(sizes.get_clients, client)
    cpu = process.cpu_secs(server.pid) - cpu
    store.check_large(server, "bench/large", store.large_digest)
    latencies = [latency for result in outcome.results for latency in result]
    return of_crew(outcome, len(latencies), len(latencies) * sizes.large_bytes, cpu, latencies)
