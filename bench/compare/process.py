"""CPU time and resident memory of a server process and its children, from /proc."""

import os
import threading
import time

TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
# Resident memory is sampled this often while a peak is looked for.
SAMPLE_INTERVAL_SECS = 0.05


def _stat_fields(pid):
    """The fields of /proc/PID/stat from the third on; the second may contain spaces and brackets."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def family(pid):
    """The process and all its descendants: nginx and forking servers work in children."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(_stat_fields(entry)[1])
            except (OSError, IndexError):
                continue  # It ended while the list was read.
    members, found = [pid], True
    while found:
        found = [child for child, parent in parents.items() if parent in members and child not in members]
        members += found
    return members


def cpu_secs(pid):
    """User and system time of the family in seconds, with threads and reaped children."""
    ticks = 0
    for member in family(pid):
        ticks += sum(int(field) for field in _stat_fields(member)[11:15])
    return ticks / TICKS_PER_SEC


def _status_kib(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise RuntimeError(f"no {key} in /proc/{pid}/status: is process {pid} still running?")


def resident_kib(pid):
    """VmRSS of the family. Pages that its members share are counted once for each."""
    return sum(_status_kib(member, "VmRSS") for member in family(pid))


class PeakWatch:
    """Resident memory over a stretch of time: the kernel's high-water mark and a series of samples."""

    def __init__(self, pid):
        self._members = family(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.series_kib = []
        self.peak_kib = 0

    def _sample(self):
        while not self._stop.wait(SAMPLE_INTERVAL_SECS):
            self.series_kib.append(sum(_status_kib(member, "VmRSS") for member in self._members))

    def __enter__(self):
        for member in self._members:
            with open(f"/proc/{member}/clear_refs", "w", encoding="ascii") as clear_refs:
                clear_refs.write("5")  # Resets VmHWM to what is resident now.
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.peak_kib = sum(_status_kib(member, "VmHWM") for member in self._members)

    def quarters_kib(self):
        """The highest sample of each quarter of the time: equal numbers mean flat memory."""
        series = self.series_kib or [self.peak_kib]
        bounds = [len(series) * i // 4 for i in range(5)]
        return [max(series[a:b] or series[-1:]) for a, b in zip(bounds, bounds[1:])]


def wait_until_quiet(pid, limit_secs):
    """Waits until the family uses less than 5 % of a processor, so that one case's rest is not another's cost."""
    deadline = time.monotonic() + limit_secs
    before = cpu_secs(pid)
    while time.monotonic() < deadline:
        time.sleep(0.25)
        now = cpu_secs(pid)
        if now - before <= 0.01:
            return
        before = now
