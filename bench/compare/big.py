"""A store with many tags and many repositories, and the pages in the middle of them."""

import json
import shutil
import time

from . import load
from .answers import Answer
from .content import CONFIG, LAYERS, digest_of, image_manifest
from .http1 import WrongAnswer
from .layout import Volume

GROUP = 1000
TAGS_REPOSITORY = "bench/many-tags"


class NamesPage(Answer):
    """A page of names; `whole` lists are taken, too, in any order, since Distribution 2.8 takes no notice of n."""

    def __init__(self, target, key, names, whole):
        super().__init__("GET", target, 0)
        self.key, self.names, self.whole = key, names, whole

    def check(self, connection):
        """The names are right, and no others are there."""
        answer = super().check(connection)
        got = json.loads(answer.body).get(self.key) or []
        if got != self.names and sorted(got) != self.whole:
            raise WrongAnswer(f"GET {self.target}: {len(got)} {self.key} that are not the {len(self.names)} after the "
                              f"middle; they begin with {got[:2]} instead of {self.names[:2]}")
        return answer


class BigStore:
    """Written once, and served by one registry after the other; none of the measured requests changes it."""

    def __init__(self, root, tags, repositories, page):
        self.root, self.page = root, page
        self.tags = [f"v{number:07}" for number in range(tags)]
        self.repositories = [f"g{number // GROUP:05}/r{number % GROUP:03}" for number in range(repositories)]
        self._manifest = image_manifest()

    def write(self):
        """All files; some minutes for a hundred thousand of each."""
        volume = Volume(self.root)
        for data in (CONFIG, *LAYERS):
            volume.layer(TAGS_REPOSITORY, volume.blob(data))
        digest = volume.blob(self._manifest)
        volume.revision(TAGS_REPOSITORY, digest)
        for tag in self.tags:
            volume.tag(TAGS_REPOSITORY, tag, digest)
        for repository in self.repositories:
            volume.repository(repository, digest)

    def tags_page(self, extra=()):
        """The page that begins in the middle, with the extra tags that are there by now."""
        last = self.tags[len(self.tags) // 2]
        names, whole = self._page(self.tags, last, extra)
        return NamesPage(f"/v2/{TAGS_REPOSITORY}/tags/list?n={self.page}&last={last}", "tags", names, whole)

    def catalog_page(self, extra=()):
        """The same of repositories. The repository of the tags comes before all of them."""
        last = self.repositories[len(self.repositories) // 2]
        names, whole = self._page(self.repositories, last, extra)
        return NamesPage(f"/v2/_catalog?n={self.page}&last={last}", "repositories", names, whole)

    def _page(self, names, last, extra):
        whole = sorted([*names, *extra])
        return [name for name in whole if name > last][: self.page], whole

    def measure_tags(self, server, store):
        """The page of tags, and that it is right at once after a tag that another process sets and takes away."""
        time.sleep(store.sizes.change_rest_secs)
        sample = load.requests(server, self.tags_page(), store.sizes)
        tag = self.tags[len(self.tags) // 2] + "-new"
        volume = Volume(self.root)
        volume.tag(TAGS_REPOSITORY, tag, digest_of(self._manifest))
        try:
            self._check(server, self.tags_page([tag]))
        finally:
            shutil.rmtree(volume.tag_directory(TAGS_REPOSITORY, tag))
        self._check(server, self.tags_page())
        return sample

    def measure_catalog(self, server, store):
        """The page of the catalog, and that it is right at once after a repository that another process makes."""
        time.sleep(store.sizes.change_rest_secs)
        sample = load.requests(server, self.catalog_page(), store.sizes)
        repository = self.repositories[len(self.repositories) // 2] + "-new"
        volume = Volume(self.root)
        volume.repository(repository, digest_of(self._manifest))
        try:
            self._check(server, self.catalog_page([repository]))
        finally:
            shutil.rmtree(volume.repository_directory(repository))
        self._check(server, self.catalog_page())
        return sample

    @staticmethod
    def _check(server, page):
        connection = server.connect()
        page.check(connection)
        connection.close()
