"""A server that answers wrongly must not get into the table: python3 -m unittest discover bench/tests"""

import hashlib
import os
import tempfile
import unittest

from liar import SIZES, LiarTest
from compare import cases, crew, fill, load, push
from compare.content import Source, digest_of
from compare.process import PeakWatch, cpu_secs, family


class WrongAnswers(LiarTest):
    """The cases of small requests, large blobs and pushes."""

    def test_the_right_answer_is_measured(self):
        self.script("GET", 200, b"bytes")
        sample = load.requests(self.server, fill.Answer("GET", "/x", 5, digest_of(b"bytes")), SIZES)
        self.assertGreater(sample.requests, 0)
        self.script("HEAD", 200, length=5)
        self.assertGreater(load.requests(self.server, fill.Answer("HEAD", "/x", 5), SIZES).requests, 0)

    def test_other_bytes_of_the_right_length(self):
        self.script("GET", 200, b"bytez")
        self.refused(lambda: load.requests(self.server, fill.Answer("GET", "/x", 5, digest_of(b"bytes")), SIZES))

    def test_a_status_that_is_not_200(self):
        for status in (206, 304, 404, 500):
            self.script("GET", status, b"" if status == 304 else b"bytes")
            self.refused(lambda: load.requests(self.server, fill.Answer("GET", "/x", 5, digest_of(b"bytes")), SIZES))

    def test_a_head_with_another_length(self):
        self.script("HEAD", 200, length=4)
        self.refused(lambda: load.requests(self.server, fill.Answer("HEAD", "/x", 5), SIZES))

    def test_errors_under_load_only(self):
        answer = fill.Answer("GET", "/x", 5, digest_of(b"bytes"))
        self.script("GET", 500, b"bytes")
        # pylint: disable=protected-access
        self.assertIn("400 and above", self.refused(lambda: load._wrk(self.server, answer, SIZES, 5)))
        self.script("HEAD", 500, length=5)
        self.assertIn("500", self.refused(lambda: load._head(self.server, answer, SIZES)))

    def test_a_short_body_under_load_only(self):
        self.script("GET", 200, b"")
        answer = fill.Answer("GET", "/x", 5000, digest_of(b"bytes"))
        # pylint: disable=protected-access
        self.assertIn("bytes for", self.refused(lambda: load._wrk(self.server, answer, SIZES, 5000)))

    def test_a_large_blob_that_is_cut_short_or_another(self):
        store = fill.Store(self.work.name, SIZES)
        whole = store.large.whole(store.large_tail)
        self.script("GET", 200, whole)
        self.assertEqual(cases.get_large(self.server, store).requests, 2)
        store.check_large(self.server, "bench/large", store.large_digest)
        self.script("GET", 200, whole[:-1], len(whole))
        self.assertIn("early", self.refused(lambda: cases.get_large(self.server, store)))
        self.script("GET", 200, whole[:-1])
        self.assertIn("Content-Length", self.refused(lambda: cases.get_large(self.server, store)))
        self.script("GET", 200, whole[:-1] + b"x")
        self.assertIn("digest", self.refused(
            lambda: store.check_large(self.server, "bench/large", store.large_digest)))

    def test_a_push_that_is_acknowledged_with_another_digest(self):
        data = b"blob"
        self.script("POST", 202, location="/v2/x/blobs/uploads/1?_state=a")
        self.script("PATCH", 202, location=f"{self.server.url}/v2/x/blobs/uploads/1?_state=b")
        self.script("PUT", 201, docker_content_digest=digest_of(data))
        push.small_blob(self.server.connect(), "x", data, digest_of(data))
        self.script("PUT", 201, docker_content_digest=digest_of(b"other"))
        self.refused(lambda: push.small_blob(self.server.connect(), "x", data, digest_of(data)))
        self.script("PATCH", 500)
        self.refused(lambda: push.small_blob(self.server.connect(), "x", data, digest_of(data)))

    def test_a_push_that_is_acknowledged_and_lost(self):
        store = fill.Store(self.work.name, SIZES)
        self.script("PUT", 201)
        self.script("GET", 404)
        self.refused(lambda: cases.put_manifest(self.server, store))

    def test_a_page_with_the_wrong_names(self):
        page = fill.TagsPage("/tags", 2, ["a", "b", "c"])
        for body, right in ((b'{"tags":["a","b"]}', True), (b'{"tags":["c","b","a"]}', True),
                            (b'{"tags":["a","c"]}', False), (b'{"tags":[]}', False), (b'{"tags":null}', False)):
            self.script("GET", 200, body)
            if right:
                page.check(self.server.connect())
            else:
                self.refused(lambda: page.check(self.server.connect()))


class Parts(unittest.TestCase):
    """What the numbers rest on."""

    def test_digests_of_new_blobs(self):
        with tempfile.TemporaryDirectory() as work:
            source = Source(f"{work}/blob", 100_000)
            first, second = source.new_blob(), source.new_blob()
            self.assertNotEqual(first[1], second[1])
            for tail, digest in (first, second):
                data = source.whole(tail)
                self.assertEqual((len(data), digest), (100_000, "sha256:" + hashlib.sha256(data).hexdigest()))

    def test_processor_time_counts_children(self):
        def spin(_):
            return lambda: sum(range(20_000_000))
        before = cpu_secs(os.getpid())
        outcome = crew.run(2, spin)
        self.assertGreater(outcome.client_cpu_secs, 0.2)
        self.assertGreater(cpu_secs(os.getpid()) - before, 0.8 * outcome.client_cpu_secs)
        self.assertIn(os.getpid(), family(os.getppid()))

    def test_the_peak_is_seen_after_it_has_passed(self):
        with PeakWatch(os.getpid()) as before:
            pass
        with PeakWatch(os.getpid()) as watch:
            bytearray(b"x" * (64 << 20))
        self.assertGreater(watch.peak_kib - before.peak_kib, 60 << 10)


if __name__ == "__main__":
    unittest.main()
