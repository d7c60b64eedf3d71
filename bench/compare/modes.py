"""How a server is started for a case: plain on loopback, with TLS, at the far end of a slow link, or on a big store."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mode:
    """Where and how to listen and which volume to serve; `tls` is a Certificate, `namespace` a network namespace."""

    key: str
    tls: Any = None
    host: str = "127.0.0.1"
    namespace: str | None = None
    volume: str | None = None


PLAIN = Mode("plain")
