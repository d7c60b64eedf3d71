"""Writes the files of Distribution's layout straight on a volume: a hundred thousand pushes would take too long."""

import os

from .content import digest_of

PARENTS_REMEMBERED_MAX = 30_000


class Volume:
    """The volume below a directory; what is there already is left as it is."""

    def __init__(self, root):
        self.root = root
        self._base = f"{root}/docker/registry/v2"
        self._made = set()

    def blob(self, data):
        """Stores a blob and gives its digest."""
        digest = digest_of(data)
        name = digest[7:]
        self._directory(f"{self._base}/blobs/sha256/{name[:2]}")
        path = f"{self._base}/blobs/sha256/{name[:2]}/{name}"
        os.mkdir(path)
        with open(f"{path}/data", "wb") as file:
            file.write(data)
        return digest

    def layer(self, repository, digest):
        """Says that a repository has a blob."""
        parent = f"{self._repository(repository)}/_layers/sha256"
        self._directory(parent)
        self._link(f"{parent}/{digest[7:]}", digest)

    def revision(self, repository, digest):
        """Says that a repository has a manifest."""
        parent = f"{self._repository(repository)}/_manifests/revisions/sha256"
        self._directory(parent)
        self._link(f"{parent}/{digest[7:]}", digest)

    def tag(self, repository, tag, digest):
        """Sets a new tag. Its history (index), which nothing that is measured reads, is left out."""
        parent = self.tag_directory(repository, tag)
        self._directory(os.path.dirname(parent))
        os.mkdir(parent)
        self._link(f"{parent}/current", digest)

    def repository(self, repository, digest):
        """A repository that has one manifest and, for registries that look there, an empty list of layers."""
        self._directory(f"{self._repository(repository)}/_layers")
        self.revision(repository, digest)

    def repository_directory(self, repository):
        """Where a repository is."""
        return self._repository(repository)

    def tag_directory(self, repository, tag):
        """Where a tag is."""
        return f"{self._repository(repository)}/_manifests/tags/{tag}"

    def _repository(self, repository):
        return f"{self._base}/repositories/{repository}"

    def _directory(self, path):
        """Makes a directory that may be there; only parents of much are remembered."""
        if path not in self._made:
            os.makedirs(path, exist_ok=True)
            if len(self._made) < PARENTS_REMEMBERED_MAX:
                self._made.add(path)

    @staticmethod
    def _link(directory, digest):
        os.mkdir(directory)
        with open(f"{directory}/link", "w", encoding="ascii") as file:
            file.write(digest)
