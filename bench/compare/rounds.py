"""One run over all servers, in its order; a server that answers wrongly is reported and left out of that case."""

import os
import subprocess
import sys
import time

from . import memory, process, servers, zb
from .fill import NEEDS_LARGE
from .http1 import WrongAnswer
from .modes import PLAIN
from .outcome import NotMeasured


def say(text):
    """Progress; the tables go to standard output."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Run:
    """The servers, what they are filled with, and the report that is being made."""

    def __init__(self, found, store, report, preparations):
        self.servers, self.store, self.report, self.preparations = found, store, report, preparations
        # Those that could not be started for the cases at hand.
        self._absent = []
        self._mode = PLAIN

    def attempt(self, server, what, step):
        """The step's result, or None when it failed; the failure is kept for the report."""
        try:
            return step()
        except NotMeasured as reason:
            self._not_measured(f"{server.name}, {what}: {reason}")
        except (WrongAnswer, RuntimeError, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
            failure = f"{server.name}, {what}: {error}"
            if failure not in self.report.failures:
                self.report.failures.append(failure)
                say(f"WRONG: {failure}")
        return None

    def _not_measured(self, text):
        if text not in self.report.not_run:
            self.report.not_run.append(text)
            say(f"not measured: {text}")

    def start(self, cases, stages):
        """Starts all, reads the idle memory and fills the stores; who fails is left out of everything."""
        wanted = [case.key for case in cases] + stages
        steps = [("start", lambda server: server.start())]
        if "memory" in stages:
            steps.append(("idle memory", self._read_idle))
        steps.append(("fill", lambda server: self._fill(server, wanted)))
        for what, step in steps:
            if step == self._read_idle:  # pylint: disable=comparison-with-callable
                time.sleep(memory.IDLE_SECS)
            for server in list(self.servers):
                if not self.attempt(server, what, lambda s=server, f=step: (f(s), True)):
                    self.servers.remove(server)

    def _read_idle(self, server):
        self.report.memory[server.name] = {"idle_kib": process.resident_kib(server.pid)}

    def _fill(self, server, wanted):
        if server.takes_pushes:
            say(f"filling {server.name}")
            self.store.fill(server, wanted)
        if NEEDS_LARGE.intersection(wanted):
            self.store.check_large(server, "bench/large", self.store.large_digest)

    def enter(self, key, cases):
        """Starts every server anew in the way that the cases need; False where that can't be had here."""
        try:
            self._mode = self.preparations.mode(key)
        except NotMeasured as reason:
            self._not_measured(f"{', '.join(case.key for case in cases)}: {reason}")
            return False
        self._absent = []
        for server in self.servers:
            def again(server=server):
                server.stop()
                server.start(self._mode)
                return True
            if server.supports(self._mode) and not self.attempt(server, f"start ({key})", again):
                self._absent.append(server)
        return True

    def _able(self, case):
        """Who takes part in a case; who can't is named, unless it never could."""
        able = []
        for server in self.servers:
            if server in self._absent or (case.pushes and not server.takes_pushes):
                continue
            if server.supports(self._mode):
                able.append(server)
            elif server.takes_pushes:
                self._not_measured(f"{server.name}, {case.key}: can't be started on such a store or in such a way")
        return able

    def measure(self, case):
        """All rounds of a case: the servers take turns, and the next round begins with the next server."""
        able = self._able(case)
        for number in range(case.rounds or self.store.sizes.rounds):
            shift = number % len(able) if able else 0
            for server in able[shift:] + able[:shift]:
                def once(server=server):
                    process.wait_until_quiet(server.pid, self.store.sizes.quiet_limit_secs)
                    return case.run(server, self.store)
                sample = self.attempt(server, case.key, once)
                if sample:
                    sample.load_average = os.getloadavg()[0]
                    self.report.add(case, server.name, sample)
                    self._tell(case, server, number, sample)

    @staticmethod
    def _tell(case, server, number, sample):
        if case.of_bytes:
            text = f"{sample.megabytes_per_sec:,.0f} MB/s, {sample.cpu_secs_per_gigabyte:.2f} CPU s/GB"
        else:
            text = f"{sample.requests_per_sec:,.0f}/s, {sample.cpu_us_per_request:,.0f} CPU µs"
        say(f"{case.key} round {number + 1} {server.name}: {text}; client CPU {sample.client_cpu_secs:.1f} s "
            f"of {sample.wall_secs:.1f} s")

    def finish(self, stages):
        """Memory under load and after it all, and the starts, which end the processes measured so far."""
        for server in self.servers:
            if "memory" not in stages:
                break
            figures = self.report.memory[server.name]
            if server.takes_pushes:
                for step in (memory.under_pushes, memory.under_pushes_and_pulls):
                    say(f"memory of {server.name}, {step.__name__.replace('_', ' ')}")
                    figures.update(self.attempt(server, "memory", lambda s=server, f=step: f(s, self.store)) or {})
        if "memory" in stages:
            time.sleep(self.store.sizes.after_secs)
        for server in self.servers:
            if "memory" in stages:
                after = self.attempt(server, "memory", lambda s=server: process.resident_kib(s.pid))
                self.report.memory[server.name]["after_kib"] = after
            if "start" in stages and isinstance(server, servers.Program):
                millis = self.attempt(
                    server, "start", lambda s=server: memory.start_millis(s, self.store.sizes.starts))
                if millis:
                    self.report.start[server.name] = millis

    def zb(self):
        """zot's benchmark over all registries."""
        binary = zb.find()
        if not binary:
            self._not_measured("zb: no program of that name (bench/install builds it)")
            return
        for server in self.servers:
            if not server.takes_pushes:
                continue
            say(f"zb against {server.name}")
            def once(server=server):
                try:
                    return zb.run(binary, server, self.store.work, self.store.sizes)
                except WrongAnswer as error:
                    if server.name == self.report.names[0]:
                        raise
                    # It may be zb that is wrong: it drops the query of an upload's URL, which Distribution needs.
                    raise NotMeasured(str(error)) from error
            results = self.attempt(server, "zb", once)
            if results:
                self.report.zb[server.name] = results
