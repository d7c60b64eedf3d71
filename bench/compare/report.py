"""The tables in Markdown and the numbers in JSON."""

import json

from . import targets
from .report_numbers import Numbers
from .sample import best

MIB_KIB = 1024


class Report:
    """Collects what was measured; `failures` are answers that were wrong."""

    def __init__(self, facts, names, reference):
        self.facts, self.names, self.reference = facts, names, reference
        self.cases, self.samples, self.memory, self.start, self.zb = [], {}, {}, {}, {}
        self.failures, self.not_run, self.notes = [], [], []

    def add(self, case, name, sample):
        """One round of one case on one server."""
        if case not in self.cases:
            self.cases.append(case)
        self.samples.setdefault((case.key, name), []).append(sample)

    def markdown(self):
        """All tables; an empty cell was not measured."""
        facts = self.facts
        parts = [f"{facts['date']}, {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
                 f"data on {facts['filesystem']}; `{facts['command']}`; best of {facts['rounds']} rounds\n"]
        parts += [f"- {name}: {version}" for name, version in facts["versions"].items()]
        if "openssl_sha256_mb_per_sec" in facts:
            parts.append("- SHA-256 alone, by openssl speed in the same run: "
                         f"{facts['openssl_sha256_mb_per_sec']:,.0f} MB/s")
        parts += [f"- {note}" for note in self.notes]
        if self.cases:
            parts += self._table("throughput", self._throughput, "x", lambda mine, other: mine / other)
            parts += self._table("server CPU", self._cost, "/", lambda mine, other: other / mine)
            parts += self._table("latency p50 / p99, ms", self._latency, None, None)
        parts += self._memory_table()
        parts += self._zb_table()
        parts += targets.table(Numbers(self))
        parts += [""] if self.not_run or self.failures else []
        parts += [f"- NOT MEASURED: {reason}" for reason in self.not_run]
        parts += [f"- WRONG: {failure}" for failure in self.failures]
        return "\n".join(parts) + "\n"

    def _table(self, title, read, sign, ratio):
        """One row a case; with a ratio, a column that sets the first server against the reference."""
        mine, compared = self.names[0], self.reference if sign and self.reference in self.names[1:] else None
        head = [title, *self.names] + ([f"{mine} against {compared}"] if compared else [])
        rows = ["", "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
        for case in self.cases:
            picked = {name: best(samples) for name in self.names
                      if (samples := self.samples.get((case.key, name)))}
            cells = [case.title] + [read(case, picked[name])[1] if name in picked else "" for name in self.names]
            if compared:
                both = mine in picked and compared in picked
                cells.append(self._ratio(case, picked, mine, compared, read, ratio) if both else "")
            rows.append("| " + " | ".join(cells) + " |")
        return rows

    @staticmethod
    def _ratio(case, picked, mine, compared, read, ratio):
        ours, theirs = read(case, picked[mine])[0], read(case, picked[compared])[0]
        return f"{ratio(ours, theirs):.1f} ×" if ours and theirs else ""

    @staticmethod
    def _throughput(case, sample):
        value = sample.megabytes_per_sec if case.of_bytes else sample.requests_per_sec
        return value, f"{value:,.0f} {'MB/s' if case.of_bytes else '/s'}"

    @staticmethod
    def _cost(case, sample):
        if case.of_bytes:
            return sample.cpu_secs_per_gigabyte, f"{sample.cpu_secs_per_gigabyte:.2f} s/GB"
        return sample.cpu_us_per_request, f"{sample.cpu_us_per_request:,.0f} µs"

    @staticmethod
    def _latency(_, sample):
        return sample.p50_us, f"{_millis(sample.p50_us)} / {_millis(sample.p99_us)}"

    def _memory_table(self):
        if not self.memory and not self.start:
            return []
        rows = ["", "| memory and start | " + " | ".join(self.names) + " |", "| --- |" + " ---: |" * len(self.names)]
        clients, size = self.facts["sizes"]["memory_clients"], self.facts["sizes"]["large_bytes"] >> 20
        mixed = self.facts["sizes"]["mixed_clients"]
        rows += self._memory_row("resident, idle after the start", "idle_kib", _mib)
        rows += self._memory_row(f"resident, {self.facts['sizes']['after_secs']} s after the run", "after_kib", _mib)
        rows += self._memory_row(f"peak while {clients} clients push {size} MiB each", "peak_kib", _mib)
        rows += self._memory_row("highest in each quarter of that time", "quarters_kib", _mibs)
        rows += self._memory_row(f"peak while {mixed} clients push and {mixed} pull {size} MiB", "mixed_peak_kib", _mib)
        if self.start:
            cells = [f"{self.start[name]:.0f} ms" if name in self.start else "" for name in self.names]
            rows.append("| exec to the first answered request | " + " | ".join(cells) + " |")
        return rows

    def _memory_row(self, title, key, form):
        """One row, if any server has the figure."""
        found = [self.memory.get(name, {}).get(key) for name in self.names]
        if not any(found):
            return []
        return [f"| {title} | " + " | ".join(form(value) if value else "" for value in found) + " |"]

    def _zb_table(self):
        """zb's tests by their names; it counts a request that fails, but looks at no bytes."""
        if not self.zb:
            return []
        names = [name for name in self.names if name in self.zb]
        rows = ["", "| zb, requests/s | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
        for test in dict.fromkeys(test for results in self.zb.values() for test in results):
            cells = [f"{self.zb[name][test]:,.1f}" if test in self.zb[name] else "" for name in names]
            rows.append(f"| {test} | " + " | ".join(cells) + " |")
        return rows

    def as_json(self):
        """Every round of everything, not only the best."""
        cases = [{
            "case": case.key,
            "title": case.title,
            "rounds": {name: [sample.as_json() for sample in self.samples.get((case.key, name), [])]
                       for name in self.names},
        } for case in self.cases]
        return json.dumps({
            **self.facts, "cases": cases, "memory": self.memory, "start_millis": self.start, "zb": self.zb,
            "notes": self.notes,
            "not_measured": self.not_run, "wrong": self.failures,
        }, indent=1)


def _millis(micros):
    return f"{micros / 1e3:.3g}" if micros < 1e6 else f"{micros / 1e3:,.0f}"


def _mib(kib):
    return f"{kib / MIB_KIB:.1f} MiB"


def _mibs(series_kib):
    return ", ".join(f"{kib / MIB_KIB:.0f}" for kib in series_kib) + " MiB"
