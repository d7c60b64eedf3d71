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
    # So many push and as many pull a large blob each, at once.
    mixed_clients: int = 64
    # A small request is watched beside so many pushes, and beside so many clients of a cold file.
    contention_pushes: int = 8
    cold_clients: int = 4
    referrers: int = 1000
    # The store that is written as files.
    big_tags: int = 100_000
    big_repositories: int = 100_000
    # What goes over the link with the long round trip.
    link_bytes: int = 64 * MIB
    # Between a change of that store and a measurement of it unchanged: a clock's tick must not decide.
    change_rest_secs: int = 3
    # From the end of the load to what is resident then: longer than idle threads are kept, ten seconds in wharf.
    after_secs: int = 12
    # How long a server may take to come to rest before it is measured.
    quiet_limit_secs: float = 5
    openssl_secs: int = 3
    zb_clients: int = 4
    zb_requests: int = 20
    # All but those with a mirror's upstream.
    zb_tests: str = "^(Get|Push|Pull)"


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
    mixed_clients=8,
    referrers=50,
    big_tags=1000,
    big_repositories=1000,
    link_bytes=MIB,
    change_rest_secs=0,
    after_secs=2,
    quiet_limit_secs=0,
    openssl_secs=1,
    zb_clients=2,
    zb_requests=2,
    zb_tests="^(Push|Pull) (.* )?1MB$",
)
