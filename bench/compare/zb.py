"""zot's own benchmark against every registry of the run. It looks at statuses and not at bytes."""

import json
import os
import shutil
import subprocess

from .http1 import WrongAnswer

LIMIT_SECS = 1800


def find():
    """The program, or None."""
    return shutil.which(os.environ.get("ZB_BIN", "zb"))


def run(binary, server, work, sizes):
    """All its tests but those of mirroring; gives requests per second by the test's name."""
    directory = f"{work}/zb"
    os.makedirs(directory, exist_ok=True)
    command = [binary, "-c", str(sizes.zb_clients), "-n", str(sizes.zb_requests), "-o", "ci-cd",
               "-d", f"{directory}/data", "-r", "bench-zb", "-t", sizes.zb_tests, server.url]
    try:
        done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=LIMIT_SECS)
        return parse(done, f"{directory}/ci-cd.json")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def parse(done, results):
    """Its results; a failed request makes its exit code 1, and then no number counts."""
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        failed = [line for line in lines if line.startswith("Failed requests") and line.split()[-1] != "0"]
        said = " ".join(" ".join(failed or lines[-3:]).split())
        raise WrongAnswer(f"exit code {done.returncode}: {said[-300:]}")
    with open(results, encoding="utf-8") as file:
        tests = {test["name"]: float(test["value"]) for test in json.load(file)}
    if not tests or not all(value > 0 for value in tests.values()):
        raise WrongAnswer(f"no results: {tests}")
    return tests
