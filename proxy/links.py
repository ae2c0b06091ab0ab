"""URLs of a vendor in its answers, turned into ours where its SDK would follow them past us.

A redirect, the place of an upload, the results of a batch: some SDKs go where the answer says,
with the client's key, which the vendor does not know and shall not see. So a header that is a URL
of the vendor's own is one of ours for the client, and so are the members of JSON answers that an
adapter names in `Passing.links`. A URL to any other host is none of our business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple
from urllib.parse import quote

from proxy.adapter import Headers

_ENDS = ("", "/", "?", "#")
_MOST_SPACE = 8


class Way(NamedTuple):
    """From a vendor's URLs to ours.

    Attributes:
        theirs: scheme and host of what is the vendor's: "https://api.acme.example".
        ours: what stands in its place: "https://gateway.example/providers/acme".
        key: the client's own, for URLs that its SDK follows without one; may be empty.
    """

    theirs: Sequence[str]
    ours: str
    key: str = ""

    def headers(self, headers: Headers, is_open: Collection[str]) -> list[tuple[str, str]]:
        """Return headers with our URLs.

        Args:
            headers: names in lower case.
            is_open: names of those whose URLs are followed without a key; they get it.
        """
        return [(name, self._turned(value, name in is_open)) for name, value in headers]

    def _turned(self, value: str, is_open: bool) -> str:
        for origin in self.theirs:
            rest = value.removeprefix(origin)
            if len(rest) < len(value) and rest[:1] in _ENDS:
                return self.ours + (self._keyed(rest) if is_open and self.key else rest)
        return value

    def _keyed(self, rest: str) -> str:
        return f"{rest}{'&' if '?' in rest else '?'}key={quote(self.key, safe='')}"


class Rewriting:
    """The machine of a JSON body in which some members hold URLs to turn; all else passes.

    A match may be cut anywhere, so the last bytes wait for the next ones.
    """

    content = True
    ended = False
    usage = None

    def __init__(self, way: Way, members: Collection[str]) -> None:
        names = b"|".join(re.escape(name.encode()) for name in sorted(members))
        origins = b"|".join(_escaped(origin) for origin in way.theirs)
        space = rb"\s{0,%d}" % _MOST_SPACE
        self._pattern = re.compile(
            rb'("(?:%b)"%b:%b")(?:%b)(?=[/\\?#"])' % (names, space, space, origins)
        )
        longest = max(map(len, members)) + 2 * max(map(len, way.theirs)) + 2 * _MOST_SPACE
        self._most_held = longest + len(b'"":"') + 1
        self._ours = way.ours.encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is certain by now."""
        text, done, out = self._held + data, 0, []
        for match in self._pattern.finditer(text):
            out += [text[done : match.start()], match[1], self._ours]
            done = match.end()
        certain = max(done, len(text) - self._most_held)
        out.append(text[done:certain])
        self._held = text[certain:]
        return b"".join(out)

    def close(self) -> bytes:
        """Return the rest."""
        held, self._held = self._held, b""
        return held


def _escaped(origin: str) -> bytes:
    r"""Return a pattern of an origin in JSON, where a slash may be `\/`."""
    return re.escape(origin.encode()).replace(b"/", rb"\\?/")
