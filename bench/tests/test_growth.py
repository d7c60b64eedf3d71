"""bench/growth's stores and tables: python3 -m unittest discover bench/tests"""

import json
import os
import tempfile
import types
import unittest
import unittest.mock

from liar import LiarTest
from compare import growth
from compare.content import digest_of
from compare.growth_stores import KINDS, Growing


class Stores(LiarTest):
    """What is written, and that wrong pages are found."""

    def store(self, kind, count):
        """A store of one kind."""
        store = Growing(self.work.name)
        KINDS[kind].add(store, count)
        return store

    def test_so_many_of_each_are_written(self):
        for kind, below in (("tags", "repositories/bench/app/_manifests/tags"), ("repositories", "repositories/g00000"),
                            ("blobs", "repositories/bench/app/_layers/sha256"),
                            ("manifests", "repositories/bench/app/_manifests/revisions/sha256")):
            with tempfile.TemporaryDirectory() as root:
                empty = Growing(f"{root}/empty")
                full = Growing(f"{root}/full")
                KINDS[kind].add(full, 7)
                count = {name: len(os.listdir(path)) if os.path.isdir(path) else 0
                         for name, path in ((store, f"{root}/{store}/docker/registry/v2/{below}")
                                            for store in ("empty", "full"))}
                self.assertEqual(count["full"] - count["empty"], 7, kind)
                self.assertEqual(empty.manifest, full.manifest)

    def test_a_page_that_is_not_the_middle(self):
        store = self.store("tags", 6)
        for names, right in ((["v0000004", "v0000005"], True), (["v0000003", "v0000004"], False), ([], False)):
            self.script("GET", 200, json.dumps({"tags": names}).encode())
            if right:
                self.assertEqual(len(growth.timed(self.server, store.tags_page())), 2)
            else:
                self.refused(lambda: growth.timed(self.server, store.tags_page()))

    def test_a_wrong_manifest_has_no_row(self):
        store = self.store("blobs", 1)
        self.server.start = lambda _: 0.001
        self.script("GET", 200, b"x" * len(store.manifest))
        found = growth.Growth(self.work.name, [self.server])
        # pylint: disable=protected-access
        self.assertEqual(found._row(self.server, store, KINDS["blobs"], growth.START_MARK_BLOBS), [])
        self.assertTrue(found.failed)
        self.assertEqual(found.start_mark, "not measured")

    def test_a_lost_push_is_found(self):
        found = growth.Growth(self.work.name, [self.server])
        found.source.new_blob = lambda: (b"t" * 16, digest_of(found.source.whole(b"t" * 16)))
        self.script("POST", 202, location="/v2/x/blobs/uploads/1")
        self.script("PATCH", 202, location="/v2/x/blobs/uploads/1")
        self.script("PUT", 201, docker_content_digest=found.source.new_blob()[1])
        self.script("GET", 200, found.source.whole(b"t" * 16))
        self.assertGreater(growth.pushed(self.server, found.source), 0)
        self.script("GET", 404)
        self.refused(lambda: growth.pushed(self.server, found.source))

    def test_a_deletion_that_deletes_nothing_is_found(self):
        with unittest.mock.patch.object(growth.push, "manifest"):
            self.script("DELETE", 202)
            self.script("GET", 404)
            self.script(f"GET /v2/{growth.APP}/manifests/latest", 200)
            self.assertEqual(len(growth.deleted(self.server)), 2)
            self.script("GET", 200)
            self.refused(lambda: growth.deleted(self.server))
            self.script("DELETE", 405)
            self.refused(lambda: growth.deleted(self.server))


class Bounds(unittest.TestCase):
    """How far it goes."""

    def test_sizes(self):
        self.assertEqual(list(growth.counts(1000)), [1000])
        self.assertEqual(list(growth.counts(10 ** 6)), [10 ** 3, 10 ** 4, 10 ** 5, 10 ** 6])
        self.assertEqual(list(growth.counts(50_000)), [1000, 10_000])

    def test_a_store_that_would_fill_the_disk(self):
        kind = types.SimpleNamespace(each_bytes=1 << 50, each_inodes=1)
        self.assertIn("bytes are needed", growth.fits(kind, 1 << 12, "/"))
        self.assertIsNone(growth.fits(KINDS["tags"], 1, tempfile.gettempdir()))


if __name__ == "__main__":
    unittest.main()
