"""The tables in Markdown and the numbers in JSON."""

import json

MIB_KIB = 1024


def best(samples):
    """The round with the most throughput: on a machine with other work, noise only ever slows down."""
    return max(samples, key=lambda sample: sample.requests / sample.wall_secs)


class Report:
    """Collects what was measured; `failures` are answers that were wrong."""

    def __init__(self, facts, names, reference):
        self.facts, self.names, self.reference = facts, names, reference
        self.cases, self.samples, self.memory, self.start, self.failures, self.not_run = [], {}, {}, {}, [], []

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
        if self.cases:
            parts += self._table("throughput", self._throughput, "x", lambda mine, other: mine / other)
            parts += self._table("server CPU", self._cost, "/", lambda mine, other: other / mine)
            parts += self._table("latency p50 / p99, ms", self._latency, None, None)
        parts += self._memory_table()
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
        lines = [
            ("resident, idle after the start", "idle_kib"),
            ("resident, 12 s after the run", "after_kib"),
            (f"peak while {clients} clients push {size} MiB each", "peak_kib"),
        ]
        for title, key in lines:
            found = [self.memory.get(name, {}).get(key) for name in self.names]
            if any(found):
                rows.append(f"| {title} | " + " | ".join(_mib(value) if value else "" for value in found) + " |")
        quarters = [self.memory.get(name, {}).get("quarters_kib") for name in self.names]
        if any(quarters):
            cells = [", ".join(f"{value / MIB_KIB:.0f}" for value in q) + " MiB" if q else "" for q in quarters]
            rows.append("| highest in each quarter of that time | " + " | ".join(cells) + " |")
        if self.start:
            cells = [f"{self.start[name]:.0f} ms" if name in self.start else "" for name in self.names]
            rows.append("| exec to the first answered request | " + " | ".join(cells) + " |")
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
            **self.facts, "cases": cases, "memory": self.memory, "start_millis": self.start,
            "not_measured": self.not_run, "wrong": self.failures,
        }, indent=1)


def _millis(micros):
    return f"{micros / 1e3:.3g}" if micros < 1e6 else f"{micros / 1e3:,.0f}"


def _mib(kib):
    return f"{kib / MIB_KIB:.1f} MiB"
