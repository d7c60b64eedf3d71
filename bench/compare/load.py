"""Small requests at full speed: wrk where it can, and a loop of our own for HEAD, on which wrk hangs."""

import json
import os
import resource
import select
import socket
import subprocess
import time
from urllib.parse import urlsplit

from . import crew, process
from .http1 import WrongAnswer
from .sample import Sample, of_crew, percentile

_SCRIPT = os.path.join(os.path.dirname(__file__), "wrk.lua")
WRK_TIMEOUT_SECS = 10
# An answer that takes longer alone is asked for one at a time: sixteen at once would run into wrk's timeout.
SLOW_SECS = 0.2


def requests(server, answer, sizes):
    """Makes one request over and over on `sizes.connections` connections for `sizes.request_secs`."""
    _check(server, answer)
    started = time.monotonic()
    length = _check(server, answer)
    if time.monotonic() - started > SLOW_SECS:
        return _one_by_one(server, answer, sizes)
    if answer.method == "HEAD":
        sample = _head(server, answer, sizes)
    else:
        sample = _wrk(server, answer, sizes, length)
    _check(server, answer)
    return sample


def _check(server, answer):
    """The length in bytes of the right answer's body."""
    connection = server.connect()
    length = len(answer.check(connection).body)
    connection.close()
    return length


def _one_by_one(server, answer, sizes):
    """On one connection, each answer checked; at least one."""
    def work(_):
        connection = server.connect()

        def step():
            latencies, started = [], time.monotonic()
            while not latencies or time.monotonic() - started < sizes.request_secs:
                asked = time.monotonic()
                answer.check(connection)
                latencies.append((time.monotonic() - asked) * 1e6)
            return latencies
        return step

    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(1, work)
    cpu = process.cpu_secs(server.pid) - cpu
    return of_crew(outcome, len(outcome.results[0]), 0, cpu, outcome.results[0])


def _wrk(server, answer, sizes, length):
    command = ["wrk", "-t1", f"-c{sizes.connections}", f"-d{sizes.request_secs}s", "-s", _SCRIPT]
    command += ["--timeout", f"{WRK_TIMEOUT_SECS}s"]
    for name, value in answer.headers:
        command += ["-H", f"{name}: {value}"]
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = process.cpu_secs(server.pid)
    done = subprocess.run(
        [*command, server.url + answer.target],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=sizes.request_secs + 3 * WRK_TIMEOUT_SECS,
    )
    cpu = process.cpu_secs(server.pid) - cpu
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if done.returncode != 0 or line is None:
        raise RuntimeError(f"wrk failed: {(done.stderr or done.stdout).strip()[:300]}")
    result = json.loads(line.removeprefix("RESULT "))
    count = result["requests"]
    if count == 0 or result["status_errors"] or result["socket_errors"]:
        raise WrongAnswer(
            f"{answer.target}: {count} answers, {result['status_errors']} with a status of 400 and above, "
            f"{result['socket_errors']} socket errors")
    if result["bytes"] < count * length:
        raise WrongAnswer(f"{answer.target}: {result['bytes']} bytes for {count} answers of {length} bytes")
    return Sample(
        requests=count, size_bytes=result["bytes"], wall_secs=result["duration_us"] / 1e6, server_cpu_secs=cpu,
        client_cpu_secs=client.ru_utime + client.ru_stime - usage.ru_utime - usage.ru_stime,
        p50_us=result["p50_us"], p99_us=result["p99_us"])


def _head(server, answer, sizes):
    cpu = process.cpu_secs(server.pid)
    outcome = crew.run(1, lambda _: lambda: _head_loop(server.url, answer, sizes))
    cpu = process.cpu_secs(server.pid) - cpu
    count, wall_secs, p50_us, p99_us = outcome.results[0]
    return Sample(count, 0, wall_secs, cpu, outcome.client_cpu_secs, p50_us, p99_us)


def _head_loop(url, answer, sizes):
    """Every answer must begin with 200 and end with its head."""
    parts = urlsplit(url)
    head = [f"HEAD {answer.target} HTTP/1.1", f"Host: {parts.netloc}"]
    head += [f"{name}: {value}" for name, value in answer.headers]
    request = "\r\n".join(head).encode() + b"\r\n\r\n"
    poll, open_sockets, sent_at, partial, latencies = select.epoll(), {}, {}, {}, []
    for _ in range(sizes.connections):
        connection = socket.create_connection((parts.hostname, parts.port), WRK_TIMEOUT_SECS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_sockets[connection.fileno()] = connection
        poll.register(connection.fileno(), select.EPOLLIN)
    clock = time.perf_counter
    started = clock()
    for number, connection in open_sockets.items():
        sent_at[number] = clock()
        connection.send(request)
    while (now := clock()) - started < sizes.request_secs:
        ready = poll.poll(WRK_TIMEOUT_SECS)
        if not ready:
            raise WrongAnswer(f"HEAD {answer.target}: no answer in {WRK_TIMEOUT_SECS} s")
        for number, _ in ready:
            connection = open_sockets[number]
            part = connection.recv(16384)
            got = partial.pop(number, b"") + part
            if not part or not got.startswith(b"HTTP/1.1 200"[: len(got)]):
                raise WrongAnswer(f"HEAD {answer.target}: {got[:60]!r}")
            if not got.endswith(b"\r\n\r\n"):
                partial[number] = got
                continue
            now = clock()
            latencies.append((now - sent_at[number]) * 1e6)
            sent_at[number] = now
            connection.send(request)
    return len(latencies), now - started, percentile(latencies, 50), percentile(latencies, 99)
