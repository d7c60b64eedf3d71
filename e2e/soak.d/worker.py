"""What a client does all day."""

import json
import time

from client import Broken, Client
from content import SHARED_IMAGES, index, new_image, shared_image, signature
from ledger import Ledger
from pushing import Pusher

SHARED_REPOSITORIES = ("shared/one", "shared/two")
TAGS = 3
# Fewer than there are, so that those without a tag are asked for while they are still there, and old.
INDEXED_IMAGES = 10


def own_repositories(number):
    """Where nobody but this worker pushes."""
    return (f"worker{number}/app", f"worker{number}/copy")


def subject_of(thing):
    """The digest that a signature is about."""
    return json.loads(thing.data)["subject"]["digest"]


class Worker:
    """Plain HTTP. Pushes into its own repositories, and with tags of its own into those that are shared."""

    def __init__(self, number, workers, addresses, grace_secs, chance, stopped):
        # pylint: disable=too-many-arguments,too-many-positional-arguments
        self.number, self.chance, self.stopped = number, chance, stopped
        self.own = own_repositories(number)
        everywhere = [*SHARED_REPOSITORIES, *(name for n in range(workers) for name in own_repositories(n))]
        self.pusher = Pusher(Client(*addresses, chance), chance, grace_secs, everywhere)
        self.ledger = Ledger()
        self.made, self.deleted = 0, []
        self.broken = None

    def run(self):
        """Until it is told to stop, or something is broken."""
        what = [(self.push_own, 24), (self.push_shared, 24), (self.push_index, 14), (self.retag, 10),
                (self.delete_tag, 24), (self.delete_manifest, 12), (self.push_again, 14), (self.sign, 10),
                (self.tag_again, 6), (self.verify, 6), (self.abandon, 2)]
        operations, weights = zip(*what)
        while not self.stopped.is_set():
            operation = self.chance.choices(operations, weights)[0]
            try:
                operation()
            except Broken as broken:
                self.broken = f"{time.strftime('%H:%M:%S')} worker {self.number}, {operation.__name__}: {broken}"
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.broken = f"worker {self.number}, {operation.__name__}: {error!r}"
            if self.broken:
                self.stopped.set()

    def _tag(self):
        return f"w{self.number}-{self.chance.randrange(TAGS)}"

    def _thing(self):
        if self.chance.random() < 0.4:
            return shared_image(self.chance.randrange(SHARED_IMAGES))
        self.made += 1
        return new_image(f"{self.number} {self.made}", self.chance)

    def _push(self, repository, thing, tag):
        self.pusher.push(repository, thing, tag)
        self._pushed(repository, tag, thing)

    def _pushed(self, repository, tag, thing):
        self.ledger.tag(repository, tag, thing)
        for name, signed in self.ledger.revived(repository):
            self._sign(name, signed)

    def _sign(self, repository, signed):
        self.pusher.push(repository, signed, signed.digest)
        self.ledger.signatures.setdefault((repository, subject_of(signed)), [])
        if signed not in (of_it := self.ledger.signatures[repository, subject_of(signed)]):
            of_it.append(signed)

    def _tagged(self, repositories):
        tags = [key for key in self.ledger.tags if key[0] in repositories]
        return self.chance.choice(tags) if tags else None

    def push_own(self):
        """Any image to a new tag, or over an old one."""
        self._push(self.chance.choice(self.own), self._thing(), self._tag())

    def push_shared(self):
        """One of those images that others push and delete right there."""
        self._push(self.chance.choice(SHARED_REPOSITORIES), shared_image(self.chance.randrange(SHARED_IMAGES)),
                   self._tag())

    def push_index(self):
        """An index, and its children by digest."""
        children = [shared_image(n) for n in self.chance.sample(range(INDEXED_IMAGES), 2)]
        self._push(self.chance.choice(self.own), index(children), self._tag())

    def retag(self):
        """Gives what has a tag another one."""
        if key := self._tagged((*self.own, *SHARED_REPOSITORIES)):
            thing, tag = self.ledger.tags[key], self._tag()
            self.pusher.name(key[0], thing, tag, time.monotonic())
            self._pushed(key[0], tag, thing)

    def delete_tag(self):
        """The tag alone."""
        if key := self._tagged((*self.own, *SHARED_REPOSITORIES)):
            thing = self.ledger.tags[key]
            self.pusher.delete(*key)
            self.ledger.untag(*key)
            self._forget_later(key[0], thing)

    def delete_manifest(self):
        """By its digest, with its tags. In a repository that is its own alone."""
        key = self._tagged(self.own)
        if key and not self.ledger.is_child(key[0], self.ledger.tags[key]):
            thing = self.ledger.tags[key]
            self.pusher.delete(key[0], thing.digest)
            self.ledger.remove(key[0], thing)
            self._forget_later(key[0], thing)

    def _forget_later(self, repository, thing):
        self.deleted = [*self.deleted[-29:], (repository, thing)]

    def push_again(self):
        """What was just deleted, or a while ago."""
        if self.deleted:
            self._push(*self.deleted.pop(self.chance.randrange(len(self.deleted))), self._tag())

    def tag_again(self):
        """Gives a manifest a tag that has lost its own: it may be gone already, and then so it says."""
        if not self.deleted:
            return
        repository, thing = self.chance.choice(self.deleted)
        tag = self._tag()
        answer = self.pusher.client.request("PUT", f"/v2/{repository}/manifests/{tag}", thing.data,
                                            {"Content-Type": thing.media_type})
        self.pusher.count(f"manifests tagged again: {answer.status}")
        if answer.status == 201:
            self._pushed(repository, tag, thing)
        elif answer.status not in (400, 404):
            raise Broken(f"tagging again: {answer}")

    def sign(self):
        """Says something about a manifest."""
        if key := self._tagged(self.own):
            self._sign(key[0], signature(self.ledger.tags[key], self.chance.randrange(2)))

    def verify(self):
        """Pulls one of its images."""
        if key := self._tagged((*self.own, *SHARED_REPOSITORIES)):
            self.pusher.verify(*key, self.ledger.tags[key])

    def abandon(self):
        """Begins an upload, and loses interest."""
        self.pusher.client.request("POST", f"/v2/{self.own[0]}/blobs/uploads/")
