"""How fast this machine computes SHA-256 and nothing else: the limit of a push."""

import subprocess

from .outcome import NotMeasured

BLOCK_SIZE_BYTES = 16384
TRIES = 3


def openssl_megabytes_per_sec(secs):
    """What `openssl speed -evp sha256` reaches with blocks of 16 KiB: the best of some tries, in MB/s."""
    return max(_once(secs) for _ in range(TRIES))


def _once(secs):
    command = ["openssl", "speed", "-mr", "-evp", "sha256", "-bytes", str(BLOCK_SIZE_BYTES), "-seconds", str(secs)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=10 + 10 * secs)
    except FileNotFoundError as error:
        raise NotMeasured("openssl is not on this machine") from error
    return parse(done.stdout)


def parse(text):
    """MB/s from the machine-readable output, which has bytes per second."""
    for line in text.splitlines():
        if line.startswith("+F:") and ":sha256:" in line.lower():
            return float(line.rsplit(":", 1)[1]) / 1e6
    raise NotMeasured(f"openssl speed said {text.strip()[:100]!r}")
