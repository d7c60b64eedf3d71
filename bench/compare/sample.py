"""One measurement, and what is read off it."""

import math
from dataclasses import asdict, dataclass


@dataclass
class Sample:
    """What one round of one case took on one server. Latencies are microseconds, zero where none was taken."""

    requests: int
    size_bytes: int
    wall_secs: float
    server_cpu_secs: float
    client_cpu_secs: float
    p50_us: float = 0
    p99_us: float = 0
    load_average: float = 0

    @property
    def megabytes_per_sec(self):
        """Throughput of blobs; a megabyte is 10^6 bytes."""
        return self.size_bytes / self.wall_secs / 1e6

    @property
    def requests_per_sec(self):
        """Throughput of small things; a push of three requests counts once."""
        return self.requests / self.wall_secs

    @property
    def cpu_secs_per_gigabyte(self):
        """What a blob's bytes cost the server; a gigabyte is 10^9 bytes."""
        return self.server_cpu_secs / (self.size_bytes / 1e9)

    @property
    def cpu_us_per_request(self):
        """What one small thing costs the server."""
        return self.server_cpu_secs / self.requests * 1e6

    def as_json(self):
        """For the JSON file."""
        return asdict(self)


def percentile(values, percent):
    """The nearest-rank percentile of a list that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def of_crew(outcome, requests, size_bytes, server_cpu_secs, latencies):
    """The sample of what a crew did; latencies in microseconds."""
    return Sample(
        requests, size_bytes, outcome.wall_secs, server_cpu_secs, outcome.client_cpu_secs,
        percentile(latencies, 50), percentile(latencies, 99))


def best(samples):
    """The round with the most throughput: on a machine with other work, noise only ever slows down."""
    return max(samples, key=lambda sample: sample.requests / sample.wall_secs)
