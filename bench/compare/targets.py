"""The marks that the first server of a run is held against, and whether it meets them.

A mark whose number was not measured in this run, or not at the size that the mark speaks of, is 'not
measured', never met.
"""

from dataclasses import dataclass, field
from typing import Callable

from .report_numbers import Numbers


@dataclass(frozen=True)
class Mark:
    """Words for the table, and `judge(numbers)`: the measured value as text, and whether that is enough; or None.

    `sizes` are the least ones (sizes.py) that the number counts at.
    """

    words: str
    judge: Callable[[Numbers], tuple[str, bool] | None]
    sizes: dict[str, int] = field(default_factory=dict)


def _at_most(read, limit, form):
    def judge(numbers):
        value = read(numbers)
        return None if value is None else (form.format(value), value <= limit)
    return judge


def _share(read, of, least, form):
    """The first as a share of the second, at least so much."""
    def judge(numbers):
        value, whole = read(numbers), of(numbers)
        if value is None or not whole:
            return None
        return form.format(100 * value / whole, value, whole), value / whole >= least
    return judge


def _speed(key):
    return lambda numbers: numbers.megabytes_per_sec(key)


def _micros(key):
    return lambda numbers: numbers.cpu_us(key)


def _cpu_beside_nginx(numbers):
    mine, other = numbers.cpu_secs_per_gb("get-large"), numbers.cpu_secs_per_gb("get-large", "nginx")
    return None if mine is None or not other else (f"{mine / other:.2f} times ({mine:.2f} and {other:.2f} s/GB)",
                                                   mine / other <= 1.2)


def _better_nginx(numbers):
    found = [speed for name in ("nginx", "nginx sendfile")
             if (speed := numbers.megabytes_per_sec("get-large", name)) is not None]
    # Only both show which is the better one.
    return max(found) if len(found) == 2 else None


def _nginx_over_tls(numbers):
    return numbers.megabytes_per_sec("tls-get-large", "nginx")


OF_MB = "{0:.0f} % ({1:,.0f} of {2:,.0f} MB/s)"
MICROS = "{:,.0f} µs"

LARGE = {"large_bytes": 512 << 20}

MARKS = [
    Mark("push of one large blob: at least 60 % of openssl's SHA-256",
         _share(_speed("push-large"), lambda numbers: numbers.openssl_mb_per_sec, 0.6, OF_MB), LARGE),
    Mark("push of one large blob: at most 1.2 CPU s/GB",
         _at_most(lambda numbers: numbers.cpu_secs_per_gb("push-large"), 1.2, "{:.2f} s/GB"), LARGE),
    Mark("four large pushes at once: no slower in sum than one",
         _share(_speed("push-large-many"), _speed("push-large"), 1, OF_MB), {**LARGE, "push_clients": 4}),
    Mark("GET of a large blob: at least 90 % of nginx's better mode",
         _share(_speed("get-large"), _better_nginx, 0.9, OF_MB), LARGE),
    Mark("GET of a large blob: at most 1.2 times the CPU of nginx without sendfile", _cpu_beside_nginx, LARGE),
    Mark("GET of a large blob over TLS: at least 90 % of nginx, same suite",
         _share(_speed("tls-get-large"), _nginx_over_tls, 0.9, OF_MB), LARGE),
    Mark("100 ms away, push by HTTP/2: at least 80 % of HTTP/1.1",
         _share(_speed("link-push-http2"), _speed("link-push-http1.1"), 0.8, OF_MB), {"link_bytes": 64 << 20}),
    Mark("100 ms away, pull by HTTP/2: at least 80 % of HTTP/1.1",
         _share(_speed("link-pull-http2"), _speed("link-pull-http1.1"), 0.8, OF_MB), {"link_bytes": 64 << 20}),
    Mark("GET manifest beside cold files: p99 at most 10 ms",
         _at_most(lambda numbers: numbers.p99_ms("manifest-cold"), 10, "{:.3g} ms"), LARGE),
    Mark("GET manifest by tag: at most 25 CPU µs", _at_most(_micros("manifest-tag"), 25, MICROS)),
    Mark("GET manifest by digest: at most 25 CPU µs", _at_most(_micros("manifest-digest"), 25, MICROS)),
    Mark("HEAD manifest by tag: at most 25 CPU µs", _at_most(_micros("manifest-head"), 25, MICROS)),
    Mark("HEAD manifest by digest: at most 25 CPU µs", _at_most(_micros("manifest-head-digest"), 25, MICROS)),
    Mark("GET small blob: at most 30 CPU µs", _at_most(_micros("get-small"), 30, MICROS)),
    Mark("PUT manifest: at most 200 CPU µs", _at_most(_micros("put-manifest"), 200, MICROS)),
    Mark("push of a small blob: at most 300 CPU µs", _at_most(_micros("push-small"), 300, MICROS)),
    Mark("page of 100 of 100,000 tags: at most 60 CPU µs",
         _at_most(_micros("tags-big"), 60, MICROS), {"big_tags": 100_000}),
    Mark("page of 100 of 100,000 repositories: at most 60 CPU µs",
         _at_most(_micros("catalog-big"), 60, MICROS),
         {"big_repositories": 100_000}),
    Mark("referrers of a subject with 1,000: at most 1 ms",
         _at_most(lambda numbers: numbers.cpu_us("referrers"), 1000, "{:,.0f} CPU µs"), {"referrers": 1000}),
    Mark("resident when idle: at most 10 MiB", _at_most(lambda numbers: numbers.mib("idle_kib"), 10, "{:.1f} MiB")),
    Mark("peak while 64 push and 64 pull 512 MiB: at most 64 MiB",
         _at_most(lambda numbers: numbers.mib("mixed_peak_kib"), 64, "{:.1f} MiB"), {**LARGE, "mixed_clients": 64}),
    Mark("first answer after exec on a million blobs: at most 30 ms (bench/growth)", lambda _: None),
    Mark("GET manifest while 8 large pushes run: p99 at most 10 ms",
         _at_most(lambda numbers: numbers.p99_ms("manifest-pushes"), 10, "{:.3g} ms"),
         {**LARGE, "contention_pushes": 8}),
]


def table(numbers):
    """Rows of Markdown."""
    rows = ["", f"| targets of {numbers.mine} | measured | |", "| --- | ---: | --- |"]
    for mark in MARKS:
        value, verdict = _judged(mark, numbers)
        rows.append(f"| {mark.words} | {value} | {verdict} |")
    return rows


def _judged(mark, numbers):
    judged = mark.judge(numbers)
    if not judged:
        return "", "not measured"
    small = [f"{name} {size:,}" for name, size in mark.sizes.items() if numbers.sizes[name] < size]
    if small:
        return judged[0], f"not measured with {', '.join(small)}"
    return judged[0], "met" if judged[1] else "not met"
