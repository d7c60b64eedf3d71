"""What the cases beside the simple ones must find: python3 -m unittest discover bench/tests"""

import json
import os
import shutil
import subprocess
import types
import unittest

from liar import SIZES, LiarTest
from compare import big, certificate, cold, contention, curl, fill, hashing, layout, memory, modes, probe, referrers, zb
from compare.content import digest_of
from compare.http1 import WrongAnswer
from compare.outcome import NotMeasured

BIG_TAGS = "/v2/bench/many-tags/tags/list?n=2&last=v0000003"


class Contention(LiarTest):
    """The manifest beside pushes and cold reads."""

    def setUp(self):
        super().setUp()
        self.store = fill.Store(self.work.name, SIZES)
        self.whole = self.store.large.whole(self.store.large_tail)
        self.script("GET", 200, self.whole)
        self.path = f"{self.work.name}/blob"
        with open(self.path, "wb") as file:
            file.write(self.whole)
        self.server.blob_file = lambda *_: self.path

    def test_the_right_answers_are_measured(self):
        self.script("GET /v2/bench/app/manifests/latest", 200, self.store.manifest)
        try:
            sample = contention.manifest_under_cold_gets(self.server, self.store)
        except NotMeasured as reason:
            self.skipTest(str(reason))
        self.assertEqual((sample.requests, sample.size_bytes), (2, 2 * len(self.whole)))
        self.assertGreater(sample.p99_us, 0)

    def test_another_manifest_under_load(self):
        self.script("GET /v2/bench/app/manifests/latest", 200, b"x" * len(self.store.manifest))
        self.refused(lambda: contention.run_beside(self.server, self.store, 1, lambda *_: None))

    def test_a_push_that_fails_ends_the_probe(self):
        self.script("GET /v2/bench/app/manifests/latest", 200, self.store.manifest)
        self.script("POST", 500)
        self.assertIn("500", self.refused(lambda: contention.manifest_under_pushes(self.server, self.store)))

    def test_a_pull_beside_pushes_that_is_cut_short(self):
        self.script("POST", 202, location="/v2/x/blobs/uploads/1")
        self.script("PATCH", 500)
        self.script("GET", 200, self.whole[:-1])
        self.refused(lambda: memory.under_pushes_and_pulls(self.server, self.store))

    def test_a_long_pause_is_not_one_slow_request(self):
        self.assertEqual(len(probe.slots(0.0001)), 1)
        paused = probe.slots(1.0)
        self.assertEqual(len(paused), 1 + int(1 / probe.INTERVAL_SECS))
        self.assertAlmostEqual(max(paused), 1e6)

    def test_a_file_that_is_in_memory_is_not_cold(self):
        self.assertGreater(cold.resident_share(self.path), 0.99)
        with self.assertRaises(NotMeasured):
            cold.drop_from_cache(None)
        shared = "/dev/shm"
        if os.path.isdir(shared):
            path = f"{shared}/wharf-bench-test-{os.getpid()}"
            self.addCleanup(os.unlink, path)
            shutil.copy(self.path, path)
            with self.assertRaises(NotMeasured):
                cold.drop_from_cache(path)


class Pages(LiarTest):
    """Pages of the big store, and referrers."""

    def test_a_page_that_is_not_the_one_after_the_middle(self):
        page = big.BigStore(self.work.name, 6, 2, 2).tags_page()
        whole = [f"v{number:07}" for number in range(6)]
        for names, right in ((whole[4:], True), (whole, True), (whole[::-1], True), (whole[:2], False),
                             (whole[3:5], False), (whole[4:5], False), ([], False)):
            self.script("GET", 200, json.dumps({"tags": names}).encode())
            if right:
                page.check(self.server.connect())
            else:
                self.refused(lambda: page.check(self.server.connect()))

    def test_a_change_by_another_process_that_is_not_seen(self):
        store = big.BigStore(self.work.name, 6, 2, 2)
        store.write()
        self.script("GET", 200, json.dumps({"tags": store.tags[4:]}).encode())
        said = self.refused(lambda: store.measure_tags(self.server, types.SimpleNamespace(sizes=SIZES)))
        self.assertIn("v0000003-new", said)
        # The volume is as it was.
        tags = os.path.dirname(layout.Volume(self.work.name).tag_directory(big.TAGS_REPOSITORY, "x"))
        self.assertEqual(sorted(os.listdir(tags)), store.tags)

    def test_the_volume_is_what_a_registry_would_write(self):
        volume = layout.Volume(self.work.name)
        digest = volume.blob(b"data")
        volume.layer("a/b", digest)
        volume.revision("a/b", digest)
        volume.tag("a/b", "v1", digest)
        base, name = f"{self.work.name}/docker/registry/v2", digest[7:]
        for path in (f"_layers/sha256/{name}/link", f"_manifests/revisions/sha256/{name}/link",
                     "_manifests/tags/v1/current/link"):
            with open(f"{base}/repositories/a/b/{path}", encoding="ascii") as file:
                self.assertEqual(file.read(), digest)
        with open(f"{base}/blobs/sha256/{name[:2]}/{name}/data", "rb") as file:
            self.assertEqual(digest_of(file.read()), digest)

    def test_referrers_that_are_not_all_there(self):
        store = types.SimpleNamespace(sizes=SIZES, manifest=b"subject")
        entries = [{"digest": digest_of(referrers.artifact(number, b"subject"))} for number in range(3)]
        for found, media_type, right in ((entries, referrers.INDEX, True), (entries[::-1], referrers.INDEX, True),
                                         (entries[:2], referrers.INDEX, False), (entries, "text/plain", False),
                                         (entries + entries[:1], referrers.INDEX, False)):
            self.script("GET", 200, json.dumps({"mediaType": media_type, "manifests": found}).encode())
            if right:
                self.assertGreater(referrers.measure(self.server, store).requests, 0)
            else:
                self.refused(lambda: referrers.measure(self.server, store))

    def test_a_registry_without_referrers_is_said_to_be_one(self):
        self.script("GET", 404)
        self.script("POST", 202, location="/v2/x/blobs/uploads/1")
        self.script("PATCH", 202, location="/v2/x/blobs/uploads/1")
        self.script("PUT", 500)
        self.refused(lambda: referrers.fill(self.server, self.server.connect(), b"subject", 1))
        self.server.offers_referrers = False
        with self.assertRaises(NotMeasured):
            referrers.measure(self.server, types.SimpleNamespace(sizes=SIZES, manifest=b"subject"))


@unittest.skipUnless(shutil.which("curl"), "no curl")
class Curl(LiarTest):
    """Transfers by curl."""

    def test_answers_that_curl_is_content_with(self):
        def get(count=1):
            return curl.transfers(self.server, [], [self.server.url + "/x"] * count,
                                  {"http_code": 200, "size_download": 5})
        self.script("GET", 200, b"bytes")
        self.assertEqual(len(get(2)), 2)
        self.script("GET", 200, b"byte")
        self.assertIn("size_download", self.refused(get))
        self.script("GET", 404, b"bytes")
        self.assertIn("http_code", self.refused(get))
        self.script("GET", 200, b"byt", 5)
        self.refused(get)
        self.script("GET", 200, b"bytes", connection="close")
        self.assertIn("keep", self.refused(lambda: get(2)))

    def test_another_protocol_than_was_asked_for(self):
        self.script("GET", 200, b"bytes")
        self.assertIn("http_version", self.refused(lambda: curl.transfers(
            self.server, [], [self.server.url + "/x"], {"http_code": 200}, version="--http2")))

    @unittest.skipUnless(shutil.which("openssl"), "no openssl")
    def test_a_certificate_of_others(self):
        self.server.mode = modes.Mode("tls", certificate.Certificate(self.work.name, ("127.0.0.1",)))
        self.server.url = self.server.url.replace("http://", "https://")
        with self.assertRaises((WrongAnswer, OSError)):
            self.server.connect()


class OtherPrograms(unittest.TestCase):
    """What openssl and zb say."""

    def test_openssl(self):
        self.assertEqual(hashing.parse("+H:16384\n+F:25:sha256:1772692303.45\n"), 1772.69230345)
        with self.assertRaises(NotMeasured):
            hashing.parse("speed: unknown option")

    def test_zb_that_met_a_failure(self):
        done = subprocess.CompletedProcess([], 1, "Failed requests:   0\nFailed requests:   2\n", "")
        with self.assertRaisesRegex(WrongAnswer, "Failed requests: 2"):
            zb.parse(done, "/nonexistent")


if __name__ == "__main__":
    unittest.main()
