"""bench/collection's stores and judgements: python3 -m unittest discover bench/tests"""

import os
import shutil
import tempfile
import types
import unittest
import unittest.mock

from liar import LiarTest
from compare import collection
from compare.collection_store import MANIFESTS_IN_REPOSITORY, Store, garbage, image
from compare.content import digest_of
from compare.http1 import WrongAnswer


class Stores(unittest.TestCase):
    """What is written, and what is missed of it."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.store = Store(self.root, 1000)
        self.store.write()
        self.store.litter()

    def data(self):
        """The blobs on the disk."""
        return sum(files == ["data"] for _, _, files in os.walk(f"{self.root}/docker/registry/v2/blobs"))

    def test_so_many_of_each_are_written(self):
        self.assertEqual((self.store.blobs, self.store.manifests, self.store.garbage), (1000, 100, 100))
        self.assertEqual(self.data(), self.store.blobs + self.store.manifests)
        self.assertEqual((self.store.left(), self.store.lost()), (self.store.garbage, 0))

    def test_garbage_is_old_and_comes_back(self):
        path = self.store.path(digest_of(garbage(0)[0]))
        self.assertLess(os.stat(path).st_mtime, os.stat(self.root).st_mtime - 86400)
        shutil.rmtree(os.path.dirname(path))
        self.assertEqual(self.store.left(), self.store.garbage - 1)
        self.store.litter()
        self.assertEqual(self.store.left(), self.store.garbage)

    def test_a_collector_that_takes_too_little_or_too_much_is_found(self):
        # pylint: disable=protected-access
        with self.assertRaises(WrongAnswer):
            collection.Bench._judge(self.store)
        for data in garbage(0):
            os.remove(self.store.path(digest_of(data)))
        collection.Bench._judge(self.store)
        os.remove(self.store.path(digest_of(image(0, 7)[0][3])))
        with self.assertRaises(WrongAnswer):
            collection.Bench._judge(self.store)


class Pulls(LiarTest):
    """The client beside a collection."""

    def test_a_wrong_manifest_is_found(self):
        store = types.SimpleNamespace(repositories=1)
        for body, right in ((image(0, 0)[1], True), (b"x", False)):
            self.script("GET", 200, body)
            over = iter([False, True])
            with unittest.mock.patch.object(collection.random, "Random") as chance:
                chance.return_value.randrange.return_value = 0
                if right:
                    self.assertGreater(collection.pulls(self.server, store, lambda o=over: next(o))[1], 0)
                else:
                    with self.assertRaises(RuntimeError):
                        collection.pulls(self.server, store, lambda o=over: next(o))


class Bounds(unittest.TestCase):
    """How far it goes."""

    def test_sizes(self):
        self.assertEqual(list(collection.counts(10_000, 1_000_000)), [10_000, 100_000, 1_000_000])
        self.assertEqual(list(collection.counts(10_000, 300_000)), [10_000, 100_000, 300_000])
        self.assertEqual(list(collection.counts(10_000, 1000)), [1000])

    def test_a_store_that_would_fill_the_disk(self):
        args = types.SimpleNamespace(sparse=False)
        found = collection.Bench(args, tempfile.gettempdir())
        # pylint: disable=protected-access
        self.assertIn("are needed", found._does_not_fit(Store("/", 10 ** 12)))
        self.assertEqual(MANIFESTS_IN_REPOSITORY, 100)


if __name__ == "__main__":
    unittest.main()
