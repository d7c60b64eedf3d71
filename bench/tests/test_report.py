"""What the tables say, and above all what they do not: python3 -m unittest discover bench/tests"""

import dataclasses
import unittest

import liar  # pylint: disable=unused-import
from compare import targets
from compare.cases import all_cases
from compare.report import Report
from compare.report_numbers import Numbers
from compare.sample import Sample
from compare.sizes import FULL, QUICK


def report_of(sizes, **megabytes_per_sec):
    """A report in which wharf and nginx have so much throughput at a case."""
    facts = {"sizes": dataclasses.asdict(sizes), "openssl_sha256_mb_per_sec": 1000, "date": "", "cpu": "", "cores": 1,
             "kernel": "", "filesystem": "", "command": "", "rounds": 1, "versions": {}}
    report = Report(facts, ["wharf", "nginx", "nginx sendfile"], "distribution")
    by_key = {case.key: case for case in all_cases(sizes)}
    for key, values in megabytes_per_sec.items():
        for name, value in zip(report.names, values):
            report.add(by_key[key.replace("_", "-")], name, Sample(1, int(value * 1e6), 1, 0.1, 0, 11_000, 12_000))
    return report


def verdicts(report):
    """The last column by the first words of each row."""
    rows = [row.split(" | ") for row in targets.table(Numbers(report))[3:]]
    return {row[0].removeprefix("| "): row[2].removesuffix(" |") for row in rows}


class Targets(unittest.TestCase):
    """A mark is met by its number or not at all."""

    def test_nothing_measured_is_nothing_met(self):
        found = verdicts(report_of(FULL))
        self.assertEqual(set(found.values()), {"not measured"})
        self.assertEqual(len(found), len(targets.MARKS))

    def test_the_number_decides(self):
        share = "push of one large blob: at least 60 % of openssl's SHA-256"
        self.assertEqual(verdicts(report_of(FULL, push_large=[600]))[share], "met")
        self.assertEqual(verdicts(report_of(FULL, push_large=[599]))[share], "not met")
        small = verdicts(report_of(dataclasses.replace(QUICK), push_large=[600]))[share]
        self.assertTrue(small.startswith("not measured with large_bytes"), small)

    def test_a_share_of_nothing(self):
        better = "GET of a large blob: at least 90 % of nginx's better mode"
        self.assertEqual(verdicts(report_of(FULL, get_large=[900]))[better], "not measured")
        self.assertEqual(verdicts(report_of(FULL, get_large=[900, 1000]))[better], "not measured")
        self.assertEqual(verdicts(report_of(FULL, get_large=[900, 1000, 800]))[better], "met")
        self.assertEqual(verdicts(report_of(FULL, get_large=[900, 800, 1010]))[better], "not met")

    def test_latency_marks(self):
        beside = "GET manifest while 8 large pushes run: p99 at most 10 ms"
        self.assertEqual(verdicts(report_of(FULL, manifest_pushes=[500]))[beside], "not met")

    def test_the_report_holds_all_parts(self):
        report = report_of(FULL, push_large=[600], get_large=[900, 1000, 800])
        report.zb = {"wharf": {"Pull 1MB": 12.5}}
        report.memory = {"wharf": {"idle_kib": 2048, "quarters_kib": [1024, 1024, 1024, 1024]}}
        report.not_run.append("zot: no program zot")
        text = report.markdown()
        for part in ("| push one 512 MiB blob | 600 MB/s |", "| Pull 1MB | 12.5 |", "1, 1, 1, 1 MiB", "2.0 MiB",
                     "NOT MEASURED: zot", "60 % (600 of 1,000 MB/s) | met"):
            self.assertIn(part, text)
        self.assertIn('"zb"', report.as_json())


if __name__ == "__main__":
    unittest.main()
