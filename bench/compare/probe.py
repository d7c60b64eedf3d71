"""What a small request waits while others load the server: a manifest GET at a steady pace."""

import os
import time

from .http1 import WrongAnswer

INTERVAL_SECS = 0.005
# The probe is not what is measured: where it may, it goes before the clients that make the load.
NICENESS = -10


def manifest_latencies(connection, answer, body, going):
    """GETs at a steady pace while `going()`; gives microseconds.

    One connection can't send while it waits. What further requests would have waited, had they come at
    their times, is counted, too: else one long pause would be one slow request, and none would notice.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except PermissionError:
        pass
    latencies = []
    due = time.perf_counter()
    while going() or not latencies:
        if (rest := due - time.perf_counter()) > 0:
            time.sleep(rest)
        started = time.perf_counter()
        got = connection.request(answer.method, answer.target, answer.headers)
        took = time.perf_counter() - started
        if got.status != 200 or got.body != body:
            raise WrongAnswer(f"GET {answer.target}: {got.status} and {len(got.body)} bytes under load")
        latencies += slots(took)
        due = max(due + INTERVAL_SECS, time.perf_counter())
    return latencies


def slots(took):
    """A request's own latency, and those of the requests that would have come while it waited; microseconds."""
    return [(took - INTERVAL_SECS * number) * 1e6 for number in range(int(took / INTERVAL_SECS) + 1)]
