"""What a run measured, by the names of case and server; None where it did not."""

from .sample import best


class Numbers:
    """Reads a report: the same rounds that its tables show."""

    def __init__(self, report):
        self._report = report
        self.mine = report.names[0]
        self.sizes = report.facts["sizes"]
        self.openssl_mb_per_sec = report.facts.get("openssl_sha256_mb_per_sec")

    def _sample(self, key, name):
        samples = self._report.samples.get((key, name or self.mine))
        return best(samples) if samples else None

    def megabytes_per_sec(self, key, name=None):
        """Throughput of blobs."""
        sample = self._sample(key, name)
        return sample and sample.megabytes_per_sec

    def cpu_secs_per_gb(self, key, name=None):
        """CPU of blobs."""
        sample = self._sample(key, name)
        return sample and sample.cpu_secs_per_gigabyte

    def cpu_us(self, key, name=None):
        """CPU of one small thing, in microseconds."""
        sample = self._sample(key, name)
        return sample and sample.cpu_us_per_request

    def p99_ms(self, key, name=None):
        """Latency, in milliseconds: of the worst round, since the mark is one that is never passed."""
        samples = self._report.samples.get((key, name or self.mine))
        return max(sample.p99_us for sample in samples) / 1e3 if samples else None

    def mib(self, key):
        """Of the memory table."""
        kib = self._report.memory.get(self.mine, {}).get(key)
        return kib / 1024 if kib else None
