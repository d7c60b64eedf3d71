"""What one worker was told is there: its tags, and what was signed."""


class Ledger:
    """Each worker's tags are its own, so that this is exact whatever the others do."""

    def __init__(self):
        self.tags = {}
        self.signatures = {}
        # Of what lost its last tag. It may come back before a collection has seen that, or after.
        self.former = {}

    def tag(self, repository, tag, thing):
        """A push was acknowledged."""
        self.tags[repository, tag] = thing
        self._settle(repository)

    def untag(self, repository, tag):
        """A deletion was acknowledged."""
        del self.tags[repository, tag]
        self._settle(repository)

    def remove(self, repository, thing):
        """A manifest was deleted, and every tag that named it."""
        for key in self.tags_of(repository, thing):
            del self.tags[key]
        self._settle(repository)

    def sign(self, repository, subject, signature):
        """A signature was acknowledged."""
        of_it = self.signatures.setdefault((repository, subject.digest), [])
        if signature not in of_it:
            of_it.append(signature)

    def tags_of(self, repository, thing):
        """The tags that name a manifest."""
        return [key for key, named in self.tags.items() if key[0] == repository and named.digest == thing.digest]

    def live(self, repository):
        """The digests that a tag leads to."""
        digests = set()
        for (name, _), thing in self.tags.items():
            if name == repository:
                digests.add(thing.digest)
                digests.update(child.digest for child in thing.children)
        return digests

    def is_child(self, repository, thing):
        """Whether a tagged index has it."""
        return any(thing.digest == child.digest for (name, _), named in self.tags.items() if name == repository
                   for child in named.children)

    def _settle(self, repository):
        live = self.live(repository)
        for key in [key for key in self.signatures if key[0] == repository and key[1] not in live]:
            self.former.setdefault(key, []).extend(self.signatures.pop(key))

    def revived(self, repository):
        """Signatures of what has come back; whether a collection took them, nobody can say. To be pushed again."""
        live = self.live(repository)
        return [(repository, signature) for key in [k for k in self.former if k[0] == repository and k[1] in live]
                for signature in self.former.pop(key)]

    def manifests(self):
        """Everything that must be there: repository, manifest, and the tag if it has one."""
        for (repository, tag), thing in self.tags.items():
            yield repository, thing, tag
            for child in thing.children:
                yield repository, child, None
        for (repository, _), signatures in self.signatures.items():
            for signature in signatures:
                yield repository, signature, None
