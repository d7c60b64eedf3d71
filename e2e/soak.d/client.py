"""HTTP to replicas of which any may be killed at any time."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECS = 60
# How long all replicas together may be gone.
GONE_SECS_MAX = 60


class Broken(Exception):
    """What must not happen."""


class Lost(Exception):
    """No answer, so that nobody knows what became of the request."""


class Answer:
    """What a replica said."""

    def __init__(self, answer, body, retried):
        self.status, self.headers, self.body, self.retried = answer.status, answer.headers, body, retried

    def __str__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"

    def location(self):
        """Where to go on, at whichever replica."""
        parts = urllib.parse.urlsplit(self.headers["Location"])
        return parts.path + ("?" + parts.query if parts.query else "")


class Client:
    """Sends each request to one of the replicas, or to the front of all. Deletions not to the front: it repeats them
    by itself when a replica goes, and then the client does not know that a 404 is no news."""

    def __init__(self, replicas, front, chance):
        self.replicas, self.front, self.chance = replicas, front, chance
        self.connections = {}
        self.lost = 0

    def once(self, method, path, body=None, headers=None, retried=False):
        """One try. Raises Lost when there is no answer."""
        address = self.chance.choice(self.replicas if method == "DELETE" else [*self.replicas, self.front])
        connection = self.connections.pop(address, None) or http.client.HTTPConnection(address, timeout=TIMEOUT_SECS)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.lost += 1
            raise Lost(f"{method} {path} at {address}: {error!r}") from error
        if answer.status in (502, 504):
            # The front's, whose replica is gone.
            connection.close()
            self.lost += 1
            raise Lost(f"{method} {path} at the front: {answer.status}")
        if answer.status >= 500:
            raise Broken(f"{method} {path} at {address}: {answer.status} {content[:300]!r}")
        self.connections[address] = connection
        return Answer(answer, content, retried)

    def request(self, method, path, body=None, headers=None):
        """As many tries as it takes: for what may be repeated."""
        since, retried = time.monotonic(), False
        while True:
            try:
                return self.once(method, path, body, headers, retried)
            except Lost as lost:
                if time.monotonic() - since > GONE_SECS_MAX:
                    raise Broken(f"nobody answers: {lost}") from lost
                retried = True
                time.sleep(self.chance.uniform(0.02, 0.2))

    def pull(self, path):
        """The status and the bytes of a blob, from wherever the registry says that it is."""
        answer = self.request("GET", path)
        if answer.status != 307:
            return answer.status, answer.body
        try:
            with urllib.request.urlopen(answer.headers["Location"], timeout=TIMEOUT_SECS) as store:
                return store.status, store.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
