"""Several clients at once, each a process of its own, started at the same instant."""

import multiprocessing
import resource
import threading
import time
from dataclasses import dataclass

_context = multiprocessing.get_context("fork")
CREW_LIMIT_SECS = 900


def shared_int(value):
    """A number that all members of a crew see and change; see multiprocessing.Value."""
    return _context.Value("i", value)


@dataclass
class Outcome:
    """What a crew did: each member's own result, and what it took."""

    results: list
    wall_secs: float
    client_cpu_secs: float


def _member(barrier, work, number, pipe):
    try:
        step = work(number)  # Connects and prepares before the start.
        barrier.wait()
        started = time.monotonic()
        pipe.send((step(), started, time.monotonic(), None))
    except BaseException as error:  # pylint: disable=broad-except
        barrier.abort()
        pipe.send((None, 0, 0, f"{type(error).__name__}: {error}"))


def run(count, work):
    """Calls `work(number)` in `count` processes; what that gives back is called by all at once and timed."""
    barrier = _context.Barrier(count + 1)
    cpu_before = _children_cpu_secs()
    pipes, members = [], []
    for number in range(count):
        receive, send = _context.Pipe(duplex=False)
        member = _context.Process(target=_member, args=(barrier, work, number, send), daemon=True)
        member.start()
        send.close()
        pipes.append(receive)
        members.append(member)
    try:
        barrier.wait(CREW_LIMIT_SECS)
    except threading.BrokenBarrierError:
        pass  # A member failed; it says why below.
    late = (None, 0, 0, f"a client gave no answer in {CREW_LIMIT_SECS} s")
    answers = [pipe.recv() if pipe.poll(CREW_LIMIT_SECS) else late for pipe in pipes]
    for member in members:
        member.join(10)
        if member.is_alive():
            member.kill()
            member.join()
    failures = [failure for *_, failure in answers if failure]
    if failures:
        # The first that is not merely the consequence of another's.
        raise RuntimeError(next((f for f in failures if "BrokenBarrier" not in f), failures[0]))
    wall_secs = max(end for _, _, end, _ in answers) - min(start for _, start, _, _ in answers)
    return Outcome([result for result, *_ in answers], wall_secs, _children_cpu_secs() - cpu_before)


def _children_cpu_secs():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
