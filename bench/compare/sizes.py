"""How much of everything: the numbers of a full run and of a quick one, all in one place."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """Sizes in bytes, numbers of things, and times in seconds."""

    large_bytes: int = 512 * MIB
    small_bytes: int = 10 * 1024
    rounds: int = 3
    # Clients pushing large blobs side by side.
    push_clients: int = 4
    # Clients pushing small blobs or manifests side by side, and what all of them push in a round.
    small_clients: int = 4
    small_pushes: int = 400
    # Clients of one large GET round, and how often each of them fetches the blob.
    get_clients: int = 8
    gets_each: int = 2
    # Small requests: connections held open by one load thread, for so long.
    connections: int = 16
    request_secs: int = 4
    tags: int = 2000
    page: int = 100
    repositories: int = 200
    # The memory case: so many clients push a large blob each, at once.
    memory_clients: int = 16
    starts: int = 10


FULL = Sizes()
QUICK = Sizes(
    large_bytes=32 * MIB,
    rounds=1,
    small_pushes=40,
    gets_each=1,
    request_secs=1,
    tags=120,
    repositories=110,
    memory_clients=8,
    starts=3,
)
