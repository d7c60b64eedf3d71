"""Requests that a case makes over and over, and what must come back."""

import json

from .content import digest_of
from .http1 import WrongAnswer, expect


class Answer:
    """A request, and the length and the digest of its right answer."""

    def __init__(self, method, target, length, digest=None, headers=()):
        self.method, self.target, self.headers = method, target, headers
        self.length, self.digest = length, digest

    def check(self, connection):
        """Makes the request once and compares all of the answer; raises WrongAnswer."""
        what = f"{self.method} {self.target}"
        answer = expect(connection.request(self.method, self.target, self.headers), 200, what)
        if self.method == "HEAD":
            if answer.headers.get("content-length") != str(self.length):
                got = answer.headers.get("content-length")
                raise WrongAnswer(f"{what}: Content-Length is {got}, not {self.length}")
        elif self.digest and digest_of(answer.body) != self.digest:
            raise WrongAnswer(f"{what}: {len(answer.body)} bytes that are not those of {self.digest}")
        return answer


class TagsPage(Answer):
    """The first page of a repository's tags; the JSON may be spaced as the registry likes."""

    def __init__(self, target, page, tags):
        super().__init__("GET", target, 0)
        self.page, self.tags = page, tags

    def check(self, connection):
        """The tags are right. Distribution 2.8 takes no notice of n: all tags in any order are an answer too."""
        answer = super().check(connection)
        got = json.loads(answer.body).get("tags") or []
        if got != self.tags[: self.page] and sorted(got) != self.tags:
            raise WrongAnswer(f"GET {self.target}: {len(got)} tags that are not the first {self.page}")
        return answer


class CatalogPage(Answer):
    """The first page of the catalog. Orders differ, and a registry given by URL may hold other repositories too."""

    def __init__(self, target, page):
        super().__init__("GET", target, 0)
        self.page = page

    def check(self, connection):
        """As many different names as were asked for."""
        answer = super().check(connection)
        got = json.loads(answer.body).get("repositories")
        if len(set(got or [])) != self.page:
            raise WrongAnswer(f"GET {self.target}: {len(set(got or []))} repositories, not {self.page}")
        return answer
