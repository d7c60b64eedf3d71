"""Makes what a mode needs when it is first wanted: the certificate, the slow link, the big store."""

import subprocess

from .big import BigStore
from .certificate import Certificate
from .link import SERVER_ADDRESS, Link, Unavailable
from .modes import PLAIN, Mode
from .outcome import NotMeasured


class Preparations:
    """What is made is left until `undo`; all servers must have ended by then."""

    def __init__(self, store, report, say):
        self._store, self._report, self._say = store, report, say
        self._certificate = None

    def mode(self, key):
        """The mode of that name; raises NotMeasured where this machine can't have it."""
        return {"plain": lambda: PLAIN, "tls": self._tls, "link": self._link, "big": self._big}[key]()

    def _trusted(self):
        if not self._certificate:
            try:
                self._certificate = Certificate(self._store.work, (PLAIN.host, SERVER_ADDRESS))
            except (OSError, RuntimeError) as error:
                raise NotMeasured(f"no certificate: {error}") from error
        return self._certificate

    def _tls(self):
        return Mode("tls", self._trusted())

    def _link(self):
        certificate = self._trusted()
        if not self._store.link:
            try:
                self._store.link = Link().open()
            except (Unavailable, OSError, subprocess.SubprocessError) as error:
                raise NotMeasured(f"no link with a long round trip: {error}") from error
            self._report.notes.append(f"the link of 100 ms is {self._store.link.how}")
        return Mode("link", certificate, SERVER_ADDRESS, self._store.link.server)

    def _big(self):
        sizes = self._store.sizes
        if not self._store.big:
            root = f"{self._store.work}/big"
            big = BigStore(root, sizes.big_tags, sizes.big_repositories, sizes.page)
            self._say(f"writing {sizes.big_tags:,} tags and {sizes.big_repositories:,} repositories to {root}")
            big.write()
            self._store.big = big
        return Mode("big", volume=self._store.big.root)

    def undo(self):
        """Takes the link away; the files go with the directory of the run."""
        if self._store.link:
            self._store.link.close()
            self._store.link = None
